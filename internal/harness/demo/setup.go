package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"yipan/internal/access"
	"yipan/internal/area"
	"yipan/internal/cli"
	casesv1 "yipan/internal/gen/yipan/cases/v1"
	consentv1 "yipan/internal/gen/yipan/consent/v1"
	ledgerv1 "yipan/internal/gen/yipan/ledger/v1"
	nodev1 "yipan/internal/gen/yipan/node/v1"
	ratesv1 "yipan/internal/gen/yipan/rates/v1"
	"yipan/internal/harness/roster"
	"yipan/internal/harness/town"
	"yipan/internal/sheet"
)

// place is a county's node with its people at work.
type place struct {
	*town.Node
	clerks      map[area.Key]string // account of each township
	distributor string
	operator    string // county operator
	admin       string
	auditor     string
}

// file is one person of the roster on the way.
type file struct {
	*roster.Person
	request *casesv1.OpenCaseRequest
	moved   *ledgerv1.MovementInput
	id      string // of the case
	second  string // of the notice sent by mistake
	child   string // of the notice that follows a reroute
	check   string // of the certificate check
	person  string // in the origin's ledger
	early   string // in the residence's ledger, from before the notice

	mu        sync.Mutex
	disclosed map[string]bool   // cases whose last answer discloses the residence
	persons   map[string]string // case → person in the receiver's ledger
}

// consentText is what the people of the roster signed, by version.
const consentText = `同意书（2026-1）

本人同意：户籍地为联系服务而发出通报后，现居住地所在省内的服务单位可以向户籍地
确认本人是否在当地居住。本人可以随时撤回，撤回后不再确认；对方由此可能猜到本人
已撤回。不同意不影响本人得到任何服务。有效期至多十二个月。
`

// prepare makes the people, in memory.
func (r *run) prepare() {
	r.spec = roster.Default()
	r.spec.Reference = r.today
	if r.People > 0 && r.People != r.spec.Left {
		r.spec = r.spec.Scaled(r.People)
	}
	people := roster.Make(r.Seed, r.spec)
	rows := roster.Rows(people)
	requests := cli.RosterRequests(rows)
	for i := range people {
		r.people = append(r.people, &file{Person: &people[i], request: requests[i], disclosed: map[string]bool{}, persons: map[string]string{}})
	}
	r.acts.of = map[string]int{}
}

// setUp lays out the town and writes the roster; nothing runs yet.
func (r *run) setUp(ctx context.Context) (*os.File, error) {
	r.head("准备目录 "+r.Dir, "prepare "+r.Dir)
	s := &r.spec
	r.origin = counterparts("origin", s.Origin.Cut(area.County), s.Origin)
	r.residence = counterparts("residence", s.Residence, s.Townships...)
	r.third = counterparts("third", s.Third, s.ThirdTownship)
	c := town.Config{Dir: r.Dir, Program: r.Program, Policy: policyFile(r.today, 1, noEnd)}
	if r.Chaos {
		c.Executable = r.Executable
	}
	for _, p := range []*place{r.origin, r.residence, r.third} {
		c.Nodes = append(c.Nodes, p.NodeConfig)
	}
	t, err := town.New(ctx, c)
	if err != nil {
		return nil, err
	}
	r.town = t
	for i, p := range []*place{r.origin, r.residence, r.third} {
		p.Node = t.Nodes[i]
	}
	log, err := os.OpenFile(t.LogFile("demo"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("demo: open the log: %w", err)
	}
	r.log = slog.New(slog.NewJSONHandler(log, nil))
	return log, r.writeFiles()
}

// counterparts describes the node of a county and who works there.
func counterparts(folder string, county area.Key, townships ...area.Key) *place {
	p := &place{
		Node:   &town.Node{NodeConfig: town.NodeConfig{Folder: folder, Area: county, Name: area.FullName(county) + "流动人口服务中心"}},
		clerks: map[area.Key]string{}, distributor: "distributor", operator: "county", admin: "admin", auditor: "auditor",
	}
	p.Accounts = []town.Account{
		{Name: p.admin, Role: access.Admin},
		{Name: p.operator, Role: access.County, Offices: []area.Key{county}},
		{Name: p.distributor, Role: access.Distributor, Offices: []area.Key{county}},
	}
	p.Accounts = append(p.Accounts, town.Account{Name: p.auditor, Role: access.Auditor, Offices: append([]area.Key{county}, townships...)})
	for _, k := range townships {
		name := "clerk-" + k.Short()
		p.clerks[k] = name
		p.Accounts = append(p.Accounts, town.Account{Name: name, Role: access.Clerk, Offices: []area.Key{k}})
	}
	return p
}

// writeFiles writes what a person may look at and send again.
func (r *run) writeFiles() (err error) {
	f, err := os.OpenFile(filepath.Join(r.Dir, "roster.csv"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("demo: write the roster: %w", err)
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	rows := make([]sheet.RosterRow, len(r.people))
	for i, p := range r.people {
		rows[i] = p.Row
	}
	if err := sheet.WriteRoster(f, rows); err != nil {
		return err
	}
	if err := os.WriteFile(r.consentFile(), []byte(consentText), 0o644); err != nil { //nolint:gosec // nothing secret
		return fmt.Errorf("demo: write the consent text: %w", err)
	}
	r.say("名册 %d 人：%s", "roster of %d people: %s", len(rows), f.Name())
	return nil
}

func (r *run) consentFile() string {
	return filepath.Join(r.Dir, "consent-"+r.spec.ConsentVersion+".txt")
}

func consentHash() string {
	h := sha256.Sum256([]byte(consentText))
	return hex.EncodeToString(h[:])
}

// requestID names an act of the script about a case, so that repeating it does
// nothing twice.
func requestID(act, about string) string {
	h := sha256.Sum256([]byte(act + "/" + about))
	return "demo-" + strings.ReplaceAll(act, " ", "-") + "-" + hex.EncodeToString(h[:8])
}

// The services as an account of a place calls them. The token files were
// written by the town itself: that one cannot be read is a mistake here.

func (p *place) cases(account string) casesv1.CaseServiceClient {
	return casesv1.NewCaseServiceClient(p.conn(account))
}

func (p *place) consents(account string) consentv1.ConsentServiceClient {
	return consentv1.NewConsentServiceClient(p.conn(account))
}

func (p *place) rates(account string) ratesv1.RateServiceClient {
	return ratesv1.NewRateServiceClient(p.conn(account))
}

func (p *place) exchange() nodev1.NodeServiceClient {
	return nodev1.NewNodeServiceClient(p.conn(p.admin))
}

func (p *place) conn(account string) grpc.ClientConnInterface {
	c, err := p.Dial(account)
	if err != nil {
		panic(err)
	}
	return c
}
