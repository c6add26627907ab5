package directory

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tree holds the hashes of a log in tlog's order of storage. A tree never
// changes; growing one leaves the old as it was.
type tree struct {
	stored []tlog.Hash
	size   int64
}

// ReadHashes implements tlog.HashReader.
func (t tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(t.stored)) {
			return nil, fmt.Errorf("hash %d of %d", x, len(t.stored))
		}
		hashes[i] = t.stored[x]
	}
	return hashes, nil
}

// grown returns the hashes that a further leaf adds. They become part of a tree
// by extend; until then nothing has changed.
func (t tree) grown(leaf tlog.Hash) []tlog.Hash {
	more, err := tlog.StoredHashesForRecordHash(t.size, leaf, t)
	if err != nil {
		panic("directory: " + err.Error()) // every hash of a lower index is held
	}
	return more
}

func (t tree) extend(more []tlog.Hash) tree {
	return tree{append(t.stored, more...), t.size + 1}
}

// root returns the root of the first n leaves, n ≤ size.
func (t tree) root(n int64) tlog.Hash {
	h, err := tlog.TreeHash(n, t)
	if err != nil {
		panic("directory: " + err.Error())
	}
	return h
}

// leaf returns the hash of leaf n, counted from 0.
func (t tree) leaf(n int64) tlog.Hash { return t.stored[tlog.StoredHashIndex(0, n)] }

// shared returns t so that extending it copies instead of writing behind it.
func (t tree) shared() tree {
	t.stored = t.stored[:len(t.stored):len(t.stored)]
	return t
}
