-- 0004: an artefact's content beside its file's: two files of one model may differ by their time.
ALTER TABLE artifact ADD COLUMN content_hash VARCHAR;
