package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"yipan/internal/cases"
	"yipan/internal/fault"
)

// Peer is what this node remembers of another.
type Peer struct {
	Node         cases.NodeID
	Speaks       uint32
	LastHeard    time.Time
	LastAgreed   time.Time
	AgreedEpoch  string // database life in which the last round was completed
	LeastPending time.Time
	Mended       int64
	RoundTripMS  int64
}

const touchPeer = `INSERT INTO peer (node) VALUES ($1) ON CONFLICT DO NOTHING`

// TouchPeer makes sure that the peer has a row.
func (tx *Tx) TouchPeer(ctx context.Context, n cases.NodeID) error {
	return tx.write(touchPeer, int64(n))
}

// Most parcels find nothing to write, and then lock nothing: parcels of one peer
// are absorbed beside each other.
const heardFrom = `INSERT INTO peer (node, speaks, last_heard) SELECT $1::bigint, $2::smallint, $3::timestamptz
WHERE NOT EXISTS (SELECT 1 FROM peer WHERE node = $1 AND speaks = $2 AND last_heard >= $3 - interval '1 second')
ON CONFLICT (node) DO UPDATE SET speaks = excluded.speaks, last_heard = excluded.last_heard
WHERE peer.speaks <> excluded.speaks OR peer.last_heard IS NULL OR peer.last_heard < excluded.last_heard - interval '1 second'`

// HeardFrom records that a parcel came and what its sender speaks.
func (tx *Tx) HeardFrom(ctx context.Context, n cases.NodeID, speaks uint32, at time.Time) error {
	return tx.write(heardFrom, int64(n), int16(min(speaks, 1<<14)), at)
}

const agreed = `UPDATE peer SET last_agreed = $2, agreed_epoch = $3, least_pending = $4 WHERE node = $1`

// Agreed records a completed statement round.
func (tx *Tx) Agreed(ctx context.Context, n cases.NodeID, at time.Time, epoch string, least time.Time) error {
	_, err := tx.Exec(ctx, agreed, int64(n), at, epoch, nullTime(least))
	return err
}

const addMended = `UPDATE peer SET mended = mended + $2 WHERE node = $1`

// AddMended counts differences that a statement mended.
func (tx *Tx) AddMended(ctx context.Context, n cases.NodeID, count int) error {
	_, err := tx.Exec(ctx, addMended, int64(n), count)
	return err
}

const selectPeer = `SELECT node, speaks, last_heard, last_agreed, agreed_epoch, least_pending, mended, round_trip_ms FROM peer WHERE node = $1`

// Peer returns what is remembered of a peer; one never heard of speaks version
// 1.
func (tx *Tx) Peer(ctx context.Context, n cases.NodeID) (Peer, error) {
	rows, err := tx.Query(ctx, selectPeer, int64(n))
	if err != nil {
		return Peer{}, err
	}
	p, err := pgx.CollectOneRow(rows, scanPeer)
	if errors.Is(err, pgx.ErrNoRows) {
		return Peer{Node: n, Speaks: 1}, nil
	}
	return p, err
}

func scanPeer(r pgx.CollectableRow) (p Peer, err error) {
	var heard, agreed, least *time.Time
	var speaks int16
	err = r.Scan((*int64)(&p.Node), &speaks, &heard, &agreed, &p.AgreedEpoch, &least, &p.Mended, &p.RoundTripMS)
	p.Speaks, p.LastHeard, p.LastAgreed, p.LeastPending = uint32(speaks), orZero(heard), orZero(agreed), orZero(least)
	return p, err
}

const selectPeers = `SELECT node, speaks, last_heard, last_agreed, agreed_epoch, least_pending, mended, round_trip_ms FROM peer ORDER BY node`

// Peers lists the peers that were ever heard of.
func (tx *Tx) Peers(ctx context.Context) ([]Peer, error) {
	rows, err := tx.Query(ctx, selectPeers)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanPeer)
}

const setRoundTrip = `UPDATE peer SET round_trip_ms = $2 WHERE node = $1`

// SetRoundTrip records the time from packing a parcel to its receipt.
func (db *DB) SetRoundTrip(ctx context.Context, n cases.NodeID, d time.Duration) error {
	_, err := db.exchange.Exec(ctx, setRoundTrip, int64(n), d.Milliseconds())
	return translate("record round trip", err)
}

const addRecord = `INSERT INTO directory_record (serial, record) VALUES ($1, $2) ON CONFLICT DO NOTHING`

// AddDirectoryRecord keeps a record of the directory. The caller has verified
// it; a serial that is held stays as it is.
func (db *DB) AddDirectoryRecord(ctx context.Context, serial uint64, record []byte) error {
	_, err := db.exchange.Exec(ctx, addRecord, int64(serial), record)
	return translate("keep directory record", err)
}

const selectRecords = `SELECT record FROM directory_record ORDER BY serial`

// DirectoryRecords returns all records in order of their serials.
func (db *DB) DirectoryRecords(ctx context.Context) ([][]byte, error) {
	rows, err := db.exchange.Query(ctx, selectRecords)
	if err != nil {
		return nil, translate("read directory", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	return out, translate("read directory", err)
}

const addQuarantine = `INSERT INTO quarantine (parcel, sender, reason, envelope) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`

// Quarantine keeps a parcel that could not be opened, as it came.
func (db *DB) Quarantine(ctx context.Context, parcel [16]byte, sender cases.NodeID, reason string, envelope []byte) error {
	_, err := db.exchange.Exec(ctx, addQuarantine, parcel, int64(sender), reason, envelope)
	return translate("quarantine parcel", err)
}

const getNote = `SELECT value FROM note WHERE key = $1`
const putNote = `INSERT INTO note (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`

// Note returns a value that the node wrote down, empty where it did not.
func (db *DB) Note(ctx context.Context, key string) (string, error) {
	var v string
	err := translate("read note", db.exchange.QueryRow(ctx, getNote, key).Scan(&v))
	if fault.Is(err, fault.KindNotFound) {
		return "", nil
	}
	return v, err
}

// PutNote writes a value down.
func (db *DB) PutNote(ctx context.Context, key, value string) error {
	_, err := db.exchange.Exec(ctx, putNote, key, value)
	return translate("write note", err)
}

const beginOutage = `INSERT INTO outage (what, since) VALUES ($1, $2)`
const endOutage = `UPDATE outage SET until = $2 WHERE what = $1 AND until IS NULL`

// BeginOutage logs that broker or database is away since a time.
func (db *DB) BeginOutage(ctx context.Context, what string, since time.Time) error {
	_, err := db.exchange.Exec(ctx, beginOutage, what, since)
	return translate("log outage", err)
}

// EndOutage logs that it is back.
func (db *DB) EndOutage(ctx context.Context, what string, until time.Time) error {
	_, err := db.exchange.Exec(ctx, endOutage, what, until)
	return translate("log outage", err)
}
