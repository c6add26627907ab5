package storetest

import (
	"testing"

	"yipan/internal/area"
	"yipan/internal/store"
)

func TestMain(m *testing.M) { Main(m) }

var office = area.MustOf(area.Township, "520123100")

func TestDatabasesAreApart(t *testing.T) {
	a, b := New(t), New(t)
	if err := a.PutNote(t.Context(), "k", "a"); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Note(t.Context(), "k"); err != nil || v != "" {
		t.Errorf("the other database says %q, %v", v, err)
	}
	if v, err := a.Note(t.Context(), "k"); err != nil || v != "a" {
		t.Errorf("the database says %q, %v", v, err)
	}
}

func TestDurableSurvivesKill9(t *testing.T) {
	s := Durable(t)
	db := s.Open(t)
	before, err := db.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.PutNote(t.Context(), "k", "committed"); err != nil {
		t.Fatal(err)
	}
	s.Kill9(t)
	if err := db.PutNote(t.Context(), "k", "lost"); err == nil {
		t.Error("a killed server took a note")
	}
	s.Start(t)
	// Connections that died are found out one by one; each costs one call.
	var v string
	for range 20 {
		if v, err = db.Note(t.Context(), "k"); err == nil {
			break
		}
	}
	if err != nil || v != "committed" {
		t.Errorf("after the kill %q, %v", v, err)
	}
	if after, err := db.Epoch(t.Context()); err != nil || after == before {
		t.Errorf("the epoch stayed %q, %v", after, err)
	}
	for range 20 {
		if err = db.InDesk(t.Context(), []area.Key{office}, func(*store.Tx) error { return nil }); err == nil {
			break
		}
	}
	if err != nil {
		t.Error(err)
	}
}
