// Package archtest holds the sources to the plan of rooms and floors: each
// package under internal/ is a room on a floor, and imports go down only. It
// owns that plan as a table, and the check of a source tree against it; the
// test beside it checks this tree.
//
// It parses files and runs nothing, so build tags hide nothing from it. It
// refuses rooms that the table does not know: a new room is a new line here and
// a page in docs/adr/.
package archtest

// A floor is a height in the house. A room imports rooms of lower floors.
type floor int

const (
	words    floor = iota // the nouns everybody shares
	rules                 // decisions, without machines
	machines              // database, broker, keys
	desk                  // the verbs
	doors                 // how verbs are called
	house                 // one node
	town                  // many nodes
)

// A room is one line of the plan.
type room struct {
	floor floor
	name  string // the folder under internal/; folders in it belong to the room
	owns  string

	// never names what the room may not import though its floor would allow it,
	// or what is worth saying twice. A word is a room, a floor, or one of
	// outside.
	never string

	// beside names the rooms of its own floor that it may import; no other.
	// They stand on earlier lines.
	beside string
}

// plan is the table of rooms. fault is open to every room that does not refuse
// it by its name or by "yipan": errors cross all floors.
var plan = []room{
	{floor: words, name: "civil", owns: "dates without a time of day", never: "I/O"},
	{floor: words, name: "area", owns: "12-digit codes, hierarchy, validity dates, embedded table", never: "I/O", beside: "civil"},
	{floor: words, name: "ident", owns: "ID documents: parse, check, derive, redact", never: "I/O", beside: "area civil"},
	{floor: words, name: "cases", owns: "Case, Item, Kind, Outcome, ids", never: "I/O proto", beside: "area civil"},
	{floor: words, name: "ledger", owns: "Person, Movement, Offer, Certificate, Consent", never: "I/O proto", beside: "area civil ident cases"},
	{floor: words, name: "fault", owns: "the closed set of error kinds", never: "yipan"},
	{floor: words, name: "gen", owns: "what buf generates, committed", never: "yipan"},
	{floor: words, name: "model", owns: "the exchange as a model that tests run against", never: "yipan"},

	{floor: rules, name: "policy", owns: "limits, calendars, cut-offs, targets; due dates", never: "store bus"},
	{floor: rules, name: "rates", owns: "what each rate counts", never: "I/O store", beside: "policy"},
	{floor: rules, name: "match", owns: "pairing candidates with reasons", never: "I/O store"},
	{floor: rules, name: "access", owns: "Principal, roles, Can", never: "doors"},
	{floor: rules, name: "seal", owns: "key sets, signing, sealing, key ids, suites", never: "store bus"},
	{floor: rules, name: "fold", owns: "the case as a set of items: ids, rounds, verbs allowed, duties", never: "I/O proto", beside: "policy"},
	{floor: rules, name: "directory", owns: "entries, log, consistency, homes by prefix", never: "I/O store bus", beside: "seal"},
	{floor: rules, name: "wire", owns: "proto to domain and back, parcels, receipts, statements, subjects", never: "pgx nats", beside: "seal fold directory"},

	{floor: machines, name: "store", owns: "all SQL, migrations, transactions, items, shares, access log", never: "wire bus proto"},
	{floor: machines, name: "bus", owns: "NATS connection, embedded server, streams, publish, consume", never: "store words"},
	{floor: machines, name: "keys", owns: "key files, wrapping, rotation, the erasure journal", never: "doors bus"},
	{floor: machines, name: "post", owns: "delivers messages by HTTPS and SMTP", never: "words rules machines"},
	{floor: machines, name: "pglocal", owns: "starts and stops a private PostgreSQL", never: "words rules machines"},
	{floor: machines, name: "book", owns: "the items of a case as kept here: append, rule T, refold, duties", never: "bus doors pgx", beside: "store keys"},

	{floor: desk, name: "usher", owns: "what every verb does: authorise, log denials, limit the transaction, keep requests idempotent", never: "doors pgx nats"},
	{floor: desk, name: "people", owns: "the person's file: found, kept, searched, merged, restricted", never: "doors pgx nats", beside: "usher"},
	{floor: desk, name: "desk", owns: "the verbs on cases and consents; one method is one transaction", never: "doors pgx nats", beside: "usher people"},
	{floor: desk, name: "moves", owns: "movements, and the notices and changes of cases that follow from them", never: "doors pgx nats", beside: "usher people desk"},
	{floor: desk, name: "services", owns: "offers and other services: due lists, records, tallies", never: "doors pgx nats", beside: "usher people desk"},
	{floor: desk, name: "todo", owns: "what waits for an office, bulk actions, the reading of the access log", never: "doors pgx nats", beside: "usher people desk services"},
	{floor: desk, name: "figures", owns: "rates as they are now, what lies behind them, times, signals, the recount", never: "doors pgx nats", beside: "usher people desk services"},
	{floor: desk, name: "closing", owns: "months frozen, revised, compared, reported upwards", never: "doors pgx nats", beside: "usher desk services figures"},
	{floor: desk, name: "remind", owns: "digests before deadlines, the duty rota", never: "doors pgx nats", beside: "usher desk todo"},
	{floor: desk, name: "exchange", owns: "the verbs peers use: pack, absorb, statements", never: "doors pgx nats"},

	{floor: doors, name: "report", owns: "reports as workbooks and pages", never: "store bus"},
	{floor: doors, name: "rpc", owns: "gRPC services, interceptors, fault to status", never: "store bus", beside: "report"},
	{floor: doors, name: "console", owns: "web console, fault to page", never: "store bus rpc"},
	{floor: doors, name: "sheet", owns: "Excel and CSV in and out", never: "store bus"},
	{floor: doors, name: "jobs", owns: "what time starts: rounds, dues, freezes, retention", never: "rpc console"},
	{floor: doors, name: "relay", owns: "outbound pump (store to bus), inbound door (bus to the verbs)", never: "rpc console"},
	{floor: doors, name: "cli", owns: "operator commands, over gRPC", never: "store bus node", beside: "sheet"},

	{floor: house, name: "node", owns: "config, wiring, lifecycle, health, metrics listener", never: "harness"},

	{floor: town, name: "harness", owns: "many nodes, load, faults, invariants"},
}

// forTests are rooms that only tests may import, besides every package whose
// name ends in "test". Those packages import what they like themselves; a room
// listed here keeps to its line of the plan, in its tests as well.
var forTests = []string{"model"}

// outside gives the words of the plan that are neither room nor floor as import
// paths. One that ends in "/" stands for all below it; one that starts with "-"
// is taken out again.
var outside = map[string][]string{
	"yipan": {"yipan/"},
	"pgx":   {"github.com/jackc/", "database/sql", "database/sql/"},
	"nats":  {"github.com/nats-io/"},
	"proto": {"google.golang.org/protobuf/", "google.golang.org/grpc", "google.golang.org/grpc/", "yipan/internal/gen/"},
	"html":  {"html/template"},
	"I/O": {
		"os", "os/", "net", "net/", "-net/netip", "-net/url", "syscall", "plugin", "log", "database/sql", "database/sql/",
		"github.com/jackc/", "github.com/nats-io/", "google.golang.org/grpc", "google.golang.org/grpc/",
	},
}

// kept says which rooms alone, apart from the program, may import a thing of
// outside.
var kept = map[string]string{
	"pgx":  "store node",
	"nats": "bus node",
	"html": "console report",
}

const (
	// program is the one package beside internal/ that holds Go code. It may
	// import every room that is not for tests.
	program = "cmd/yipan"

	// generator is the folder, somewhere below a room, of a program that makes a
	// file of that room before the build. It is never shipped, so that what it
	// imports is its own affair.
	generator = "gen"

	// A file longer than this has become everybody's room. Generated files and
	// tests may be longer.
	maxLines = 450

	// main.go only chooses the command; one file each holds the commands.
	maxMainLines = 59
)
