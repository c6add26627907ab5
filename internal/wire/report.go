package wire

import (
	"encoding/binary"

	"yipan/internal/cases"
	"yipan/internal/fault"
	"yipan/internal/seal"
)

// MaxReportBytes is the most that the content of a report may take: with head,
// nonce and signature it fits into one item.
const MaxReportBytes = 60 << 10

const maxPeriodBytes = 16

// SignReport makes the body of a REPORT of author from area h.X to h.Y: content
// as its reader understands it, signed by itself, so that a report proves where
// it came from wherever it is kept. h needs Author, Case, X and Y. A content of
// more than MaxReportBytes is Invalid REPORT_TOO_LARGE.
func SignReport(h *cases.Head, form cases.ReportForm, period string, content []byte, key seal.SigningKey) (*cases.ReportBody, error) {
	switch {
	case len(content) > MaxReportBytes:
		return nil, fault.Invalid("REPORT_TOO_LARGE", "report of %d bytes, at most %d", len(content), MaxReportBytes).Zh("上报内容过长：一份最多 60 KB")
	case !form.Known() || len(period) > maxPeriodBytes:
		return nil, fault.Invalid("REPORT_FORM", "report of unknown form, or about no period").Zh("上报内容的类型或期间不正确")
	}
	b := &cases.ReportBody{Form: form, Period: period, Content: content, KeyID: key.ID()}
	b.Signature = key.Sign(contextReport, reportSigned(h, b))
	return b, nil
}

// VerifyReport reports whether the author of h signed b, by a key that it has
// or had.
func VerifyReport(h *cases.Head, b *cases.ReportBody, keyOf KeyOf) bool {
	key, ok := keyOf(h.Author, b.KeyID)
	return ok && key.Verify(contextReport, reportSigned(h, b), b.Signature)
}

// reportSigned is what a report's author signs: whose it is, about what, and
// its content. Only the last part has no fixed length of its own.
func reportSigned(h *cases.Head, b *cases.ReportBody) []byte {
	m := make([]byte, 0, 64+len(b.Period)+len(b.Content))
	m = binary.BigEndian.AppendUint64(m, uint64(h.Author))
	m = append(m, h.Case[:]...)
	m = binary.BigEndian.AppendUint64(m, uint64(h.X))
	m = binary.BigEndian.AppendUint64(m, uint64(h.Y))
	m = append(m, byte(b.Form))
	m = binary.BigEndian.AppendUint32(m, uint32(len(b.Period)))
	m = append(m, b.Period...)
	return append(m, b.Content...)
}
