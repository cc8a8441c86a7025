"""Advisory locks of the database: one number a kind of work, in one place so that no two are the same."""

MIGRATION = 7_201_460
LOAD = 7_201_461
BUILD = 7_201_462
JUDGEMENT = 7_201_463
PUBLICATION = 7_201_464
INTAKE = 7_201_475
