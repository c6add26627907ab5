package cli

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"unicode/utf8"
)

// FuzzAnswerRows reads any bytes as a file of answers: it is refused as a usage
// error, or every row has a case, an etag, an outcome, a line and a request id
// of its own kind.
func FuzzAnswerRows(f *testing.F) {
	f.Add([]byte("case_id,etag,outcome\n" + caseA + ",e1,residing\n"))
	f.Add([]byte("\ufeff编号,etag,结果,联系方式,attempts,依据\r\n" + caseA + ",e1,无法联系,visit;phone,3,consent:" + consentA + "\r\n"))
	f.Add([]byte("case_id,etag,outcome\n\"a\nb\",e,x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := &Env{Std: Std{In: bytes.NewReader(b), Out: io.Discard, Err: io.Discard}}
		rows, where, err := (&CaseAnswerBatchCommand{File: "-"}).requests(e)
		if err != nil {
			if _, ok := errors.AsType[*usageError](err); !ok || !utf8.ValidString(err.Error()) {
				t.Errorf("refused with %T %q", err, err)
			}
			return
		}
		if len(rows) == 0 || len(rows) != len(where) {
			t.Fatalf("%d rows at %d lines", len(rows), len(where))
		}
		for i, r := range rows {
			if r.GetRef().GetCaseId() == "" || r.GetRef().GetEtag() == "" || r.GetAnswer().GetOutcome() == 0 || where[i] < 2 || len(r.GetRequestId()) != 36 {
				t.Errorf("row at line %d: %v", where[i], r)
			}
		}
	})
}
