package rpc

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"yipan/internal/cases"
	"yipan/internal/desk"
	"yipan/internal/fault"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/todo"
)

func TestTodoRequests(t *testing.T) {
	q, err := todosRequest(&ledgerv1.ListTodosRequest{Office: "520330001", Kinds: []ledgerv1.TodoKind{ledgerv1.TodoKind_TODO_KIND_REROUTE}, PageSize: 900, PageToken: "t", Purpose: "p"})
	if diff := cmp.Diff(todo.Query{Office: xishui, Kinds: []todo.Kind{todo.Reroute}, PageSize: 200, PageToken: "t", Purpose: "p"}, q); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	p, err := previewRequest(&ledgerv1.PreviewActionRequest{Action: ledgerv1.BulkAction_BULK_ACTION_PAIR, CaseIds: []string{hexA}})
	if diff := cmp.Diff(todo.PreviewRequest{Action: todo.PairCertain, Cases: []cases.CaseID{idA}}, p); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	k, err := acknowledgeRequest(&ledgerv1.AcknowledgeCaseRequest{RequestId: "request-1", CaseId: hexA, Etag: "e"})
	if diff := cmp.Diff(desk.AcknowledgeRequest{RequestID: "request-1", Ref: desk.CaseRef{Case: idA, Etag: "e"}}, k); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	at := time.Date(2026, 11, 2, 1, 30, 0, 0, time.UTC)
	a, err := accessRequest(&ledgerv1.ListAccessRequest{Account: "a", SubjectId: hexA, DeniedOnly: true, From: timestamppb.New(at), PageSize: 5000})
	if diff := cmp.Diff(todo.AuditQuery{Account: "a", Subject: [16]byte(idA), Denied: true, From: at, PageSize: 1000}, a); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, tt := range []struct {
		name, field, reason string
		err                 error
	}{
		{"unknown kind", "kinds", "VALUE_UNKNOWN", second(todosRequest(&ledgerv1.ListTodosRequest{Kinds: []ledgerv1.TodoKind{12}}))},
		{"no kind", "kinds", "FIELD_REQUIRED", second(todosRequest(&ledgerv1.ListTodosRequest{Kinds: []ledgerv1.TodoKind{0}}))},
		{"many kinds", "kinds", "TOO_MANY", second(todosRequest(&ledgerv1.ListTodosRequest{Kinds: make([]ledgerv1.TodoKind, 51)}))},
		{"page", "page_size", "PAGE_SIZE", second(todosRequest(&ledgerv1.ListTodosRequest{PageSize: -1}))},
		{"no action", "action", "FIELD_REQUIRED", second(previewRequest(&ledgerv1.PreviewActionRequest{}))},
		{"unknown action", "action", "VALUE_UNKNOWN", second(previewRequest(&ledgerv1.PreviewActionRequest{Action: 4}))},
		{"many cases", "case_ids", "BATCH_TOO_LARGE", second(previewRequest(&ledgerv1.PreviewActionRequest{Action: 1, CaseIds: make([]string, 1001)}))},
		{"no case", "case_id", "FIELD_REQUIRED", second(acknowledgeRequest(&ledgerv1.AcknowledgeCaseRequest{RequestId: "request-1"}))},
		{"no request id", "request_id", "REQUEST_ID", second(acknowledgeRequest(&ledgerv1.AcknowledgeCaseRequest{CaseId: hexA}))},
		{"purpose", "purpose", "TEXT_TOO_LONG", second(todosRequest(&ledgerv1.ListTodosRequest{Purpose: strings.Repeat("x", maxText+1)}))},
	} {
		f, ok := fault.As(tt.err)
		if !ok || f.Field != tt.field || f.Reason != tt.reason || f.Text == "" {
			t.Errorf("%s: %v", tt.name, tt.err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestTodoMessages(t *testing.T) {
	at := time.Date(2026, 11, 2, 1, 30, 0, 0, time.UTC)
	got := todoMessage(&todo.Entry{Kind: todo.Pair, Office: xishui, Case: idA, Etag: "e", Subject: "测某", DueAt: at, Counterpart: linan, CaseKind: cases.Outflow})
	want := &ledgerv1.Todo{Kind: ledgerv1.TodoKind_TODO_KIND_PAIR, Office: "4:520330001", CaseId: hexA, Etag: "e", Subject: "测某", DueAt: timestamppb.New(at), Counterpart: "3:330112", CaseKind: "outflow"}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	got = todoMessage(&todo.Entry{Kind: todo.Offer, Office: xishui, N: 1000, More: true, Refs: []string{"2026-3"}})
	want = &ledgerv1.Todo{Kind: ledgerv1.TodoKind_TODO_KIND_OFFER, Office: "4:520330001", N: 1000, More: true, Refs: []string{"2026-3"}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	e := accessMessage(&todo.AccessEvent{ID: 7, At: at, Account: "a", Office: xishui, Verb: "v", Subjects: [][16]byte{idA}, N: 1, Denied: true})
	event := &ledgerv1.AccessEvent{EventId: 7, At: timestamppb.New(at), Account: "a", Office: "4:520330001", Verb: "v", SubjectIds: []string{hexA}, N: 1, Denied: true}
	if diff := cmp.Diff(event, e, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	// The numbers of kinds and actions are those of the API.
	for _, k := range todo.Kinds() {
		if ledgerv1.TodoKind_name[int32(k)] == "" {
			t.Errorf("kind %d is none of the API", k)
		}
	}
	if len(todo.Kinds()) != len(ledgerv1.TodoKind_name)-1 || int(todo.DistributeTo) != len(ledgerv1.BulkAction_name)-1 {
		t.Error("the API knows other kinds or actions")
	}
}
