package people

import (
	"crypto/rand"
	"fmt"
	"slices"

	"yipan/internal/book"
	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/ident"
	"yipan/internal/ledger"
	"yipan/internal/seal"
	"yipan/internal/store"
)

// Profile is what an office keeps of a person.
type Profile = ledger.Profile

func profileAAD(id cases.PersonID) seal.AAD {
	return seal.AAD{Table: "person", Column: "profile", Row: id[:]}
}

// SealProfile seals a profile under the person's key, in one of the sizes of
// ledger.ProfileSizes.
func SealProfile(key *seal.DataKey, id cases.PersonID, f *Profile) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	plain, err := padded(f, size)
	if err != nil {
		return nil, err
	}
	return seal.EncryptField(key, profileAAD(id), plain), nil
}

func padded(v any, size int) ([]byte, error) {
	b, err := ledger.Encode(v, size)
	if err != nil {
		return nil, err
	}
	return seal.PadTo(b, size)
}

func opened[T any](key *seal.DataKey, aad seal.AAD, box []byte, sizes []int) (T, error) {
	var zero T
	plain, err := seal.DecryptField(key, aad, box)
	if err != nil {
		return zero, err
	}
	if !slices.Contains(sizes, len(plain)) {
		return zero, fault.Internal("FIELD_MALFORMED", "%s.%s has %d bytes, which is no size of it", aad.Table, aad.Column, len(plain))
	}
	if plain, err = seal.UnpadTo(plain, len(plain)); err != nil {
		return zero, err
	}
	return ledger.Decode[T](plain)
}

// OpenProfile reads the profile of a row. What is plain is taken from the
// columns, whether it was ever sealed or not; whoever only a notice told of has
// nothing but those, the document and a contact.
func OpenProfile(key *seal.DataKey, row *store.PersonRow) (Profile, error) {
	var f Profile
	var err error
	if row.Profile != nil {
		if f, err = opened[Profile](key, profileAAD(row.ID), row.Profile, ledger.ProfileSizes); err != nil {
			return f, err
		}
	} else if f, err = fromNotice(key, row); err != nil {
		return f, err
	}
	f.Sex, f.Birth = row.Sex, row.Birth
	f.Registered, f.Managed, f.Living = row.Registered, row.Managed, row.Living
	return f, nil
}

func fromNotice(key *seal.DataKey, row *store.PersonRow) (Profile, error) {
	f := Profile{Name: row.Name}
	n, err := unbox(key, row, "doc", row.Doc)
	if err != nil {
		return f, err
	}
	if n != "" {
		f.Documents = []ledger.Document{{Kind: ident.Kind(row.DocKind), Number: n}}
	}
	phone, err := unbox(key, row, "phone", row.Phone)
	if phone != "" {
		f.Contacts = []ledger.Contact{{Kind: ledger.ContactPhone, Value: phone, Preference: "any"}}
	}
	return f, err
}

func boxAAD(id cases.PersonID, column string) seal.AAD {
	return seal.AAD{Table: "person", Column: column, Row: id[:]}
}

func box(key *seal.DataKey, id cases.PersonID, column, v string) []byte {
	return seal.EncryptField(key, boxAAD(id, column), []byte(v))
}

func unbox(key *seal.DataKey, row *store.PersonRow, column string, b []byte) (string, error) {
	if b == nil {
		return "", nil
	}
	plain, err := seal.DecryptField(key, boxAAD(row.ID, column), b)
	return string(plain), err
}

// keyOf unwraps the key of a row; NotFound where the person was erased.
func (l *People) keyOf(row *store.PersonRow) (*seal.DataKey, error) {
	if row.Key == nil || row.Erased {
		return nil, NotFound()
	}
	return l.Keys.Data().Unwrap(book.PersonKeyAAD(row.ID), row.Key)
}

func eventAAD(id [16]byte) seal.AAD {
	return seal.AAD{Table: "person_event", Column: "sealed", Row: id[:]}
}

func sealEvent(key *seal.DataKey, ev *store.PersonEvent, e *ledger.Event) error {
	if _, err := rand.Read(ev.ID[:]); err != nil {
		return fmt.Errorf("event id: %w", err)
	}
	size, err := e.Size()
	if err != nil {
		return err
	}
	plain, err := padded(e, size)
	if err != nil {
		return err
	}
	ev.Sealed = seal.EncryptField(key, eventAAD(ev.ID), plain)
	return nil
}

func openEvent(key *seal.DataKey, ev *store.PersonEvent) (ledger.Event, error) {
	return opened[ledger.Event](key, eventAAD(ev.ID), ev.Sealed, ledger.EventSizes)
}
