package desk_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	"yipan/internal/harness"
)

func TestNodeVerbs(t *testing.T) {
	b := newBureau(t, false)
	d, admin := b.at(here), harness.Clerk(access.Admin)
	b.open(b.notice(1, there))
	nowhere := b.notice(2, area.Children(area.MustOf(area.County, "440304"))[0])
	if v, _, err := d.OpenCase(t.Context(), clerk(here), nowhere); err != nil || !v.NoNodeYet {
		t.Errorf("an area without a node: %v, %v", v.NoNodeYet, err)
	}
	if _, _, err := d.OpenCase(t.Context(), clerk(here), b.notice(3, there)); err != nil { // not sent yet
		t.Fatal(err)
	}
	n, err := d.Node(t.Context(), admin)
	if err != nil || n.Node != cases.NodeID(origin) || n.Cases != 3 || n.Serial == 0 {
		t.Errorf("node %+v, %v", n, err)
	}
	peers, waiting, err := d.Peers(t.Context(), admin)
	if err != nil || waiting != 1 {
		t.Errorf("%d wait for a node, %v", waiting, err)
	}
	i := slices.IndexFunc(peers, func(p desk.PeerView) bool { return p.Node == cases.NodeID(residence) })
	if i < 0 || peers[i].Unsettled != 1 || peers[i].Settled == 0 || peers[i].Oldest <= 0 || peers[i].LastHeard.IsZero() {
		t.Errorf("peers %+v", peers)
	}
	if n, err := d.Resend(t.Context(), admin, 0, true); err != nil || n != 1 {
		t.Errorf("a dry run counts %d, %v", n, err)
	}
	dir, err := d.Directory(t.Context(), admin)
	if err != nil || len(dir) != 3 || len(dir[0].Keys) != 2 || len(dir[0].Areas) != 1 {
		t.Errorf("directory %+v, %v", dir, err)
	}
	var folds []desk.FoldView
	for token := ""; ; {
		page, next, err := d.Folds(t.Context(), admin, 2, token)
		if err != nil || len(page) > 2 {
			t.Fatal(len(page), err)
		}
		folds = append(folds, page...)
		if token = next; token == "" {
			break
		}
	}
	if len(folds) != 3 || folds[0].Items != 1 {
		t.Errorf("folds %+v", folds)
	}
	_, _, err = d.Folds(t.Context(), admin, 2, "?")
	refused(t, err, fault.KindInvalid, "PAGE_TOKEN", "page_token")
	for _, role := range access.Roles() {
		p := harness.Clerk(role, here)
		if !access.Can(p, access.NodeRead, 0) {
			_, err := d.Node(t.Context(), p)
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
			_, _, err = d.Peers(t.Context(), p)
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
			_, err = d.Directory(t.Context(), p)
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
			_, _, err = d.Folds(t.Context(), p, 1, "")
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
		}
		if !access.Can(p, access.NodeMend, 0) {
			_, err := d.Resend(t.Context(), p, 0, false)
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
			_, err = d.StartStatement(t.Context(), p, 0)
			refused(t, err, fault.KindDenied, "NOT_ALLOWED", "")
		}
	}
}

// TestWatch tells an office of its own cases and of no other's, until its
// reader is gone.
func TestWatch(t *testing.T) {
	b := newBureau(t, true)
	d := b.at(here)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	news := make(chan desk.Change)
	ended := make(chan error, 1)
	go func() {
		ended <- d.Watch(ctx, clerk(there), there, func(c desk.Change) error { news <- c; return nil })
	}()
	// Watching begins at some moment: cases are opened until one is told.
	var told desk.Change
	seen := map[cases.CaseID]bool{}
	for i := 0; told.Case.IsZero(); i++ {
		other := b.open(b.notice(2*i, beside))
		id := b.open(b.notice(2*i+1, there))
		seen[id] = true
		select {
		case told = <-news:
		default:
		}
		if told.Case == other {
			t.Fatal("another office's case is told")
		}
		if i == 1000 {
			t.Fatal("nothing is told")
		}
	}
	if !seen[told.Case] || told.Office != there || told.Status != cases.StatusOpen || told.Etag == "" {
		t.Errorf("told %+v", told)
	}
	cancel()
	for {
		select {
		case <-news:
			continue
		case err := <-ended:
			if err != nil {
				t.Errorf("the end of a watch: %v", err)
			}
		}
		break
	}
	gone := errors.New("the reader is gone")
	go func() {
		ended <- d.Watch(t.Context(), clerk(there), 0, func(desk.Change) error { return gone })
	}()
	for i := 0; ; i++ {
		b.open(b.notice(5000+i, there))
		select {
		case err := <-ended:
			if !errors.Is(err, gone) {
				t.Errorf("watch ended with %v", err)
			}
			return
		default:
			if i == 1000 {
				t.Fatal("the watch goes on without its reader")
			}
		}
	}
}
