package book

import (
	"context"
	"time"

	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ledger"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// PersonKeyAAD binds a person's wrapped key to its row.
func PersonKeyAAD(id cases.PersonID) seal.AAD {
	return seal.AAD{Table: "person", Column: "key", Row: id[:]}
}

func consentAAD(id cases.ConsentID) seal.AAD {
	return seal.AAD{Table: "consent", Column: "sealed", Row: id[:]}
}

// PersonKey returns the key of a person; NotFound where the person was erased
// or is not the transaction's offices' to see.
func (b *Book) PersonKey(ctx context.Context, tx *store.Tx, id cases.PersonID) (*seal.DataKey, error) {
	keys, err := tx.PersonKeys(ctx, []cases.PersonID{id})
	if err != nil {
		return nil, err
	}
	wrapped := keys[id]
	if wrapped == nil {
		return nil, fault.NotFound("PERSON_NOT_FOUND", "person is erased").Zh("没有找到该人员，或您无权查看")
	}
	return b.Keys.Data().Unwrap(PersonKeyAAD(id), wrapped)
}

// Knows reports whether the transaction's offices have a person who was not
// erased.
func Knows(ctx context.Context, tx *store.Tx, id cases.PersonID) (bool, error) {
	keys, err := tx.PersonKeys(ctx, []cases.PersonID{id})
	return keys[id] != nil, err
}

// SealConsent returns a consent as a row, sealed under the person's key.
func SealConsent(key *seal.DataKey, c *ledger.Consent) (store.ConsentRow, error) {
	b, err := sealed(key, consentAAD(c.ID), c, ledger.ConsentBytes)
	return store.ConsentRow{ID: c.ID, Office: c.Office, Person: c.Person, Sealed: b}, err
}

// OpenConsent reads what SealConsent wrote.
func OpenConsent(key *seal.DataKey, row store.ConsentRow) (ledger.Consent, error) {
	c, err := opened[ledger.Consent](key, consentAAD(row.ID), row.Sealed, ledger.ConsentBytes)
	c.ID, c.Person, c.Office = row.ID, row.Person, row.Office
	return c, err
}

// Consents reads consents of the transaction's offices and keeps them from
// being withdrawn until it ends. Missing ones, and those of erased people, are
// not in the result.
func (b *Book) Consents(ctx context.Context, tx *store.Tx, ids []cases.ConsentID) (map[cases.ConsentID]ledger.Consent, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.ShareConsents(ctx, ids)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	persons := make([]cases.PersonID, 0, len(rows))
	for _, r := range rows {
		persons = append(persons, r.Person)
	}
	held, err := tx.KeysAndGroups(ctx, persons)
	if err != nil {
		return nil, err
	}
	out := make(map[cases.ConsentID]ledger.Consent, len(rows))
	for id, r := range rows {
		h, ok := held[r.Person]
		if !ok {
			continue
		}
		key, err := b.Keys.Data().Unwrap(PersonKeyAAD(r.Person), h.Key)
		if err != nil {
			return nil, err
		}
		c, err := OpenConsent(key, r)
		if err != nil {
			return nil, err
		}
		c.Files = h.Files
		out[id] = c
	}
	return out, nil
}

// Live reports whether a consent held here allows purpose towards an area now;
// one that is not held does not.
func (b *Book) Live(ctx context.Context, tx *store.Tx, id cases.ConsentID, purpose string, to area.Key, at time.Time) (bool, error) {
	cs, err := b.Consents(ctx, tx, []cases.ConsentID{id})
	if err != nil {
		return false, err
	}
	c, ok := cs[id]
	return ok && c.Covers(purpose, to, at), nil
}

func privateAAD(id cases.CaseID) seal.AAD {
	return seal.AAD{Table: "case_side", Column: "private", Row: id[:]}
}

// SealPrivate seals what an office alone knows of a case, under the node's key.
func (b *Book) SealPrivate(id cases.CaseID, p *ledger.Private) ([]byte, error) {
	plain, err := padded(p, ledger.PrivateBytes)
	if err != nil {
		return nil, err
	}
	return b.Keys.Data().Encrypt(privateAAD(id), plain), nil
}

func padded(v any, size int) ([]byte, error) {
	b, err := ledger.Encode(v, size)
	if err != nil {
		return nil, err
	}
	return seal.PadTo(b, size)
}

func sealed(key *seal.DataKey, aad seal.AAD, v any, size int) ([]byte, error) {
	plain, err := padded(v, size)
	if err != nil {
		return nil, err
	}
	return seal.EncryptField(key, aad, plain), nil
}

func opened[T any](key *seal.DataKey, aad seal.AAD, box []byte, size int) (T, error) {
	var zero T
	plain, err := seal.DecryptField(key, aad, box)
	if err != nil {
		return zero, err
	}
	plain, err = seal.UnpadTo(plain, size)
	if err != nil {
		return zero, err
	}
	return ledger.Decode[T](plain)
}
