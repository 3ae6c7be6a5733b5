-- What the next version of the schema might add: of every kind that a running program has to bear. Only tests apply it.

ALTER TABLE gongji.settlement ADD COLUMN ward text;
COMMENT ON COLUMN gongji.settlement.ward IS 'ward of the institution';
ALTER TABLE gongji.settlement ADD CONSTRAINT settlement_ward_check CHECK (ward <> '') NOT VALID;
ALTER TABLE gongji.settlement VALIDATE CONSTRAINT settlement_ward_check;
CREATE INDEX settlement_institution_day ON gongji.settlement (institution, visit_date);

ALTER TABLE gongji.posting ADD COLUMN audited boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN gongji.posting.audited IS 'whether an auditor has seen it';
ALTER TABLE gongji.standing ADD COLUMN ward_region integer;
COMMENT ON COLUMN gongji.standing.ward_region IS 'region of the ward';

CREATE TABLE gongji.note (
    settlement uuid NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    text text NOT NULL CHECK (text <> ''),
    PRIMARY KEY (settlement, written_at)
);
COMMENT ON TABLE gongji.note IS 'Notes on settlements.';

CREATE VIEW gongji.institution_day AS
SELECT institution, visit_date, count(*) AS settlements, sum(total_fen) AS total_fen
FROM gongji.settlement
GROUP BY institution, visit_date;
