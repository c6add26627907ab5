-- +goose Up
-- Whoever adds to cases locks their legs, and so holds at least ROW SHARE on leg.
-- The function waits for them and keeps others out until its transaction ends;
-- reading goes on. A definer's right, since LOCK TABLE would ask for the right to
-- change every column of leg.
-- +goose StatementBegin
CREATE FUNCTION lock_out_items() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    LOCK TABLE leg IN EXCLUSIVE MODE;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION lock_out_items() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_out_items() TO yipan_exchange;

-- +goose Down
DROP FUNCTION lock_out_items();
