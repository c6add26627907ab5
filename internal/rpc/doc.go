// Package rpc owns the gRPC door: it authenticates, decodes a request, calls
// one verb of the desk and encodes the answer. It decides nothing about cases.
//
// Invariants: TLS always; every service of yipan needs a bearer token, health
// and reflection alone do not (they tell nothing about persons); every call
// ends within a deadline and leaves one line in the log and one observation in
// the metrics, neither with anything of the request; every refusal carries a
// reason (google.rpc.ErrorInfo, domain "yipan"), the offending field where one
// is known, and a Chinese text.
//
// It refuses to show causes: an internal error reaches a client as such, with
// the id of its log line. Areas go out as "level:code", ids as 32 hex digits.
package rpc
