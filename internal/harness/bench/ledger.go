package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/book"
	"yipan/internal/civil"
	"yipan/internal/directory"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	"yipan/internal/harness/roster"
	"yipan/internal/harness/town"
	"yipan/internal/ident"
	"yipan/internal/keys"
	"yipan/internal/ledger"
	"yipan/internal/node"
	"yipan/internal/people"
	"yipan/internal/policy"
	"yipan/internal/store"
)

// LedgerFigures are what a run over a large ledger measured: the 50th and 99th
// percentile of each verb through the API, in milliseconds.
type LedgerFigures struct {
	People   int                   `json:"people"`
	Notices  int                   `json:"notices"`
	FillPerS float64               `json:"fill_per_s"`
	Verbs    map[string]Percentile `json:"verbs"`
}

// Percentile of a verb in ms.
type Percentile struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	N   int     `json:"n"`
}

// big is the township that has a fifth of the people and all of the notices;
// small sends them.
var (
	big   = area.MustOf(area.Township, "520330101")
	small = area.MustOf(area.Township, "520330102")
)

// ledgerClerks are as many as open no more files than one may a day.
const ledgerClerks = 6

// Ledger fills one node with people and open notices and measures what a clerk
// of its largest township waits for. It decides nothing.
func Ledger(ctx context.Context, c Config, n, notices int) (f LedgerFigures, err error) {
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "yipan-bench-"); err != nil {
			return f, fmt.Errorf("bench: make a folder: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.Dir)) }()
		if err := os.Chmod(c.Dir, 0o711); err != nil {
			return f, fmt.Errorf("bench: make the folder passable: %w", err)
		}
	}
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(c.Out, format+"\n", a...) }
	conf := town.NodeConfig{Folder: "county", Area: origin, Name: area.FullName(origin), Accounts: []town.Account{
		{Name: "sender", Role: access.Clerk, Offices: []area.Key{small}},
	}}
	for i := range ledgerClerks {
		conf.Accounts = append(conf.Accounts, town.Account{Name: "clerk-" + strconv.Itoa(i), Role: access.Clerk, Offices: []area.Key{big}})
	}
	t, err := town.New(ctx, town.Config{
		Dir: filepath.Join(c.Dir, "ledger"), Program: c.Program, Executable: c.Executable, Policy: policy.DefaultFile(), Nodes: []town.NodeConfig{conf},
	})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, t.Stop()) }()
	if err := t.Start(ctx); err != nil {
		return f, err
	}
	f.People, f.Notices = n, notices
	l := &large{node: t.Nodes[0], say: say, people: n}
	defer l.node.Hangup()
	began := time.Now()
	if err := l.fill(ctx); err != nil {
		return f, err
	}
	f.FillPerS = float64(n) / time.Since(began).Seconds()
	say("%d files registered, %.0f/s", n, f.FillPerS)
	if err := l.notices(ctx, notices); err != nil {
		return f, err
	}
	if f.Verbs, err = l.measure(ctx); err != nil {
		return f, err
	}
	return f, writeJSON(c.JSON, f)
}

// large is a node with a large ledger.
type large struct {
	node   *town.Node
	say    func(string, ...any)
	people int
}

// someone is the i-th invented person.
func someone(i int) (f ledger.Profile, office area.Key) {
	birth := civil.MustParse("1950-01-01").AddDays(i / 50 % 21_000)
	towns := area.Children(origin)
	office = big
	if i%5 != 0 {
		office = towns[i%len(towns)]
	}
	return ledger.Profile{
		Name:       roster.Name(i / 5),
		Documents:  []ledger.Document{{Number: ident.Make("520330", birth, i%50+i/1_050_000*50, i%2 == 0)}},
		Registered: office, Living: office,
		Contacts: []ledger.Contact{{Kind: ledger.ContactPhone, Value: fmt.Sprintf("199%08d", i), Safe: true, Preference: "any"}},
	}, office
}

// fill registers the people as clerks do, below the API: past the doors it would
// take as long again.
func (l *large) fill(ctx context.Context) (err error) {
	loaded, err := node.Load(node.Sources{File: l.node.ConfigFile()})
	if err != nil {
		return err
	}
	d, err := node.OpenDatabase(ctx, &loaded.Config, node.DatabaseOptions{Attach: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close(context.WithoutCancel(ctx))) }()
	db, err := d.Open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	files, err := keys.Open(loaded.Config.KeysDir())
	if err != nil {
		return err
	}
	bk := book.New(loaded.Config.ID(), files, nil, func() *directory.Directory { return nil }, time.Now)
	pp := people.New(people.Config{DB: db, Book: bk, Keys: files, Now: time.Now})
	offices := area.Children(origin)
	clerk := access.Principal{ID: "filler", Role: access.Clerk, Offices: offices}
	today := civil.In(time.Now())
	const part = 100
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for from := 0; from < l.people; from += part {
		g.Go(func() error {
			return db.InDeskAs(ctx, clerk.ID, offices, func(tx *store.Tx) error {
				for i := from; i < min(from+part, l.people); i++ {
					f, office := someone(i)
					if _, _, err := pp.Register(ctx, tx, clerk, office, f, today); err != nil {
						return fmt.Errorf("bench: register person %d: %w", i, err)
					}
				}
				return nil
			})
		})
		if from%100_000 == 0 && from > 0 {
			l.say("  %d files …", from)
		}
	}
	return g.Wait()
}

// notices lets a township send notices to the large one.
func (l *large) notices(ctx context.Context, n int) error {
	conn, err := l.node.Dial("sender")
	if err != nil {
		return err
	}
	s := casesv1.NewCaseServiceClient(conn)
	day := civil.In(time.Now()).AddDays(-3).String()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for from := 0; from < n; from += 500 {
		g.Go(func() error {
			req := &casesv1.BatchOpenCasesRequest{}
			for i := from; i < min(from+500, n); i++ {
				birth := civil.MustParse("1960-01-01").AddDays(i / 100)
				req.Requests = append(req.Requests, &casesv1.OpenCaseRequest{
					RequestId: fmt.Sprintf("ledger-%09d", i), Kind: casesv1.Kind_KIND_OUTFLOW, Origin: small.String(), Destination: big.String(),
					Fields: &casesv1.Fields{
						Name: roster.Name(i), Document: ident.Make("520381", birth, i%100, i%2 == 0), EventDate: day,
						Basis: &casesv1.Basis{Kind: casesv1.BasisKind_BASIS_KIND_REQUEST},
					},
				})
			}
			resp, err := s.BatchOpenCases(ctx, req)
			if err != nil {
				return fmt.Errorf("bench: open cases: %w", err)
			}
			for _, o := range resp.GetResults() {
				if o.GetError() != nil {
					return fmt.Errorf("bench: case refused: %s", o.GetError().GetReason())
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// samples is how often each verb is called, two callers at a time.
const samples = 600

func (l *large) measure(ctx context.Context) (map[string]Percentile, error) {
	var persons []ledgerv1.PersonServiceClient
	var todos []ledgerv1.TodoServiceClient
	var offers []ledgerv1.OfferServiceClient
	for i := range ledgerClerks {
		conn, err := l.node.Dial("clerk-" + strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		persons = append(persons, ledgerv1.NewPersonServiceClient(conn))
		todos = append(todos, ledgerv1.NewTodoServiceClient(conn))
		offers = append(offers, ledgerv1.NewOfferServiceClient(conn))
	}
	ids := make([]string, samples)
	search := func(fill func(*ledgerv1.SearchPersonsRequest, ledger.Profile)) func(context.Context, int) error {
		return func(ctx context.Context, i int) error {
			f, _ := someone(i * (l.people / samples) / 5 * 5)
			req := &ledgerv1.SearchPersonsRequest{Purpose: "bench"}
			fill(req, f)
			resp, err := persons[i%ledgerClerks].SearchPersons(ctx, req)
			if err != nil {
				return err
			}
			if len(resp.GetPersons()) == 0 {
				return errors.New("bench: a search found nobody")
			}
			if req.Document != "" {
				ids[i] = resp.GetPersons()[0].GetPersonId()
			}
			return nil
		}
	}
	out := map[string]Percentile{}
	for _, v := range []struct {
		name string
		call func(context.Context, int) error
	}{
		{"search_document", search(func(r *ledgerv1.SearchPersonsRequest, f ledger.Profile) { r.Document = f.Documents[0].Number })},
		{"search_name", search(func(r *ledgerv1.SearchPersonsRequest, f ledger.Profile) {
			r.Name = string([]rune(ident.NormalizeName(f.Name))[:3])
		})},
		{"search_initials", search(func(r *ledgerv1.SearchPersonsRequest, f ledger.Profile) { r.Initials = people.Initials(f.Name)[:2] })},
		{"search_phone", search(func(r *ledgerv1.SearchPersonsRequest, f ledger.Profile) { r.Phone = f.Contacts[0].Value })},
		{"search_last4", search(func(r *ledgerv1.SearchPersonsRequest, f ledger.Profile) { r.Last4 = f.Documents[0].Number[14:] })},
		{"search_area", search(func(r *ledgerv1.SearchPersonsRequest, f ledger.Profile) { r.Area = f.Living.String() })},
		{"person_page", func(ctx context.Context, i int) error {
			_, err := persons[i%ledgerClerks].GetPerson(ctx, &ledgerv1.GetPersonRequest{PersonId: ids[i], Purpose: "bench"})
			return err
		}},
		{"person_history", func(ctx context.Context, i int) error {
			_, err := persons[i%ledgerClerks].GetPersonHistory(ctx, &ledgerv1.GetPersonHistoryRequest{PersonId: ids[i/4], Purpose: "bench"})
			return err
		}},
		{"todo_list", func(ctx context.Context, i int) error {
			_, err := todos[i%ledgerClerks].ListTodos(ctx, &ledgerv1.ListTodosRequest{Purpose: "bench"})
			return err
		}},
		{"todo_counts", func(ctx context.Context, i int) error {
			_, err := todos[i%ledgerClerks].CountTodos(ctx, &ledgerv1.CountTodosRequest{})
			return err
		}},
		{"offers_due", func(ctx context.Context, i int) error {
			_, err := offers[i%ledgerClerks].ListOffersDue(ctx, &ledgerv1.ListOffersDueRequest{Purpose: "bench"})
			return err
		}},
	} {
		p, err := timed(ctx, v.call)
		if err != nil {
			return nil, fmt.Errorf("bench: %s: %w", v.name, err)
		}
		out[v.name] = p
		l.say("%-18s p50 %7.2f ms   p99 %7.2f ms", v.name, p.P50, p.P99)
	}
	return out, nil
}

// timed calls a verb, two callers at a time, and takes the times, those of the
// first calls too.
func timed(ctx context.Context, call func(context.Context, int) error) (Percentile, error) {
	var mu sync.Mutex
	var took []time.Duration
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for i := range samples {
		g.Go(func() error {
			began := time.Now()
			if err := call(ctx, i); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Percentile{}, err
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return Percentile{P50: ms(took[len(took)/2]), P99: ms(took[len(took)*99/100]), N: len(took)}, nil
}
