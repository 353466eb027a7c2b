-- 0005: what a claim's verdict rests on, and what a baseline was compared by.
ALTER TABLE claim ADD COLUMN message VARCHAR;
ALTER TABLE claim ADD COLUMN facts JSON;
ALTER TABLE baseline ADD COLUMN facts JSON;
