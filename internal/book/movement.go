package book

import (
	"yipan/internal/ledger"
	"yipan/internal/seal"
	"yipan/internal/store"
)

func movementAAD(id ledger.MovementID) seal.AAD {
	return seal.AAD{Table: "movement", Column: "sealed", Row: id[:]}
}

// SealMovement seals the note of a movement under the person's key.
func SealMovement(key *seal.DataKey, id ledger.MovementID, n *ledger.MovementNote) ([]byte, error) {
	return sealed(key, movementAAD(id), n, ledger.MovementBytes)
}

// OpenMovement reads what SealMovement wrote.
func OpenMovement(key *seal.DataKey, m *store.MovementRow) (ledger.MovementNote, error) {
	return opened[ledger.MovementNote](key, movementAAD(m.ID), m.Sealed, ledger.MovementBytes)
}
