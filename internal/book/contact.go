package book

import (
	"context"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/ledger"
	"yipan/internal/seal"
	"yipan/internal/store"
)

func contactAAD(id cases.PersonID) seal.AAD {
	return seal.AAD{Table: "contact", Column: "sealed", Row: id[:]}
}

// SealContact seals the contact log of a person under the person's key.
func SealContact(key *seal.DataKey, id cases.PersonID, l *ledger.ContactLog) ([]byte, error) {
	return sealed(key, contactAAD(id), l, ledger.ContactBytes)
}

// OpenContact reads what SealContact wrote.
func OpenContact(key *seal.DataKey, id cases.PersonID, box []byte) (ledger.ContactLog, error) {
	return opened[ledger.ContactLog](key, contactAAD(id), box, ledger.ContactBytes)
}

// Tallies reads the tallies of offices of these kinds and periods; those that
// were never written are missing.
func (b *Book) Tallies(ctx context.Context, tx *store.Tx, offices []area.Key, kinds []ledger.Service, periods []uint32) (map[TallyKey]ledger.Tally, error) {
	rows, err := tx.Tallies(ctx, offices, kinds, periods)
	if err != nil {
		return nil, err
	}
	out := make(map[TallyKey]ledger.Tally, len(rows))
	for i := range rows {
		k := TallyKey{Office: rows[i].Office, Kind: rows[i].Kind, Period: rows[i].Period}
		if out[k], err = b.openTally(k, rows[i].Sealed); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// OpenPrivate reads what SealPrivate wrote.
func (b *Book) OpenPrivate(id cases.CaseID, box []byte) (ledger.Private, error) {
	plain, err := b.Keys.Data().Decrypt(privateAAD(id), box)
	if err != nil {
		return ledger.Private{}, err
	}
	if plain, err = seal.UnpadTo(plain, ledger.PrivateBytes); err != nil {
		return ledger.Private{}, err
	}
	return ledger.Decode[ledger.Private](plain)
}
