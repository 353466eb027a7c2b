-- 0002: a sanity test's verdict with what it rests on, so that a later session may take it over.
ALTER TABLE gate ADD COLUMN identity VARCHAR;
ALTER TABLE gate ADD COLUMN environment_hash VARCHAR;
ALTER TABLE gate ADD COLUMN files JSON;
ALTER TABLE gate ADD COLUMN call_seconds DOUBLE;
