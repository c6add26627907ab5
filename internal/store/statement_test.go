package store_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"yipan/internal/store"
	"yipan/internal/store/storetest"
)

var statement = regexp.MustCompile(`^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\s`)

// statements returns every constant string expression of the package's sources
// that is a statement, with the name of its constant, or of the function where
// it stands in place. Parts of a larger one do not count.
func statements(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
	}
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	// Imports are left unresolved: constants of this package need none.
	check := types.Config{Importer: noImports{}, Error: func(error) {}}
	_, _ = check.Check("store", fset, parsed, info)
	out := map[string]string{}
	for _, f := range parsed {
		for _, d := range f.Decls {
			name := ""
			if fn, ok := d.(*ast.FuncDecl); ok {
				name = fn.Name.Name
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if spec, ok := n.(*ast.ValueSpec); ok && name == "" {
					for i, v := range spec.Values {
						if sql, ok := text(info, v); ok && statement.MatchString(sql) {
							out[spec.Names[i].Name] = sql
						}
					}
					return false
				}
				e, ok := n.(ast.Expr)
				if !ok {
					return true
				}
				sql, ok := text(info, e)
				if ok && statement.MatchString(sql) {
					out[name] = sql
					return false
				}
				return true
			})
		}
	}
	return out
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, os.ErrNotExist }

func text(info *types.Info, e ast.Expr) (string, bool) {
	v := info.Types[e].Value
	if v == nil || v.Kind() != constant.String {
		return "", false
	}
	if _, ok := e.(*ast.Ident); ok {
		return "", false // counted where it is declared
	}
	return constant.StringVal(v), true
}

// users says which roles run each statement: a the desk's, x the exchange's,
// c that of counts, o the owner. A statement that is missing here fails the test.
var users = map[string]string{
	"lockPersons": "a", "insertFiles": "a", "insertPersonEvents": "a", "insertMovements": "a", "claimRequests": "a", "awaited": "a", "insertMovement": "a", "movementsOf": "a", "movementByID": "a", "noteMovement": "a",
	"insertLegs": "ax", "insertNewLegs": "x", "lockLegs": "ax", "readLegs": "ax", "eraseLegs": "ax", "countCases": "x", "legsAfter": "x", "legsWithin": "x",
	"insertItems": "ax", "haveItems": "ax", "selectItems": "ax", "shareItems": "x", "caseItems": "ax", "casesOfItems": "ax", "lockOutItems": "x", "eraseBodies": "ax", "addTombstones": "ax", "tombstones": "x", "fillBody": "x", "missingBodies": "x",
	"insertCovers": "x", "coversOf": "ax", "insertReportIn": "x", "reportsIn": "x", "markReportDone": "x",
	"insertOutage": "a", "outageOf": "a", "outagesSince": "ax", "outageSides": "x", "outageRounds": "x", "markPutOff": "x",
	"insertShares": "ax", "mergeShares": "x", "claim": "x", "unclaim": "x", "settle": "x", "unsettle": "x", "forgetShares": "x",
	"pendingPeers": "x", "retryNow": "x", "hasten": "x", "peerLoads": "x", "pendingLoads": "x", "leastPending": "x", "undeliveredByReceiver": "c", "rejectedBy": "ax", "feedbackPending": "x", "sharersOf": "x",
	"digestThrough": "x", "droppedDigests": "x", "computeDigests": "x", "forgetDigests": "x", "keepDigests": "x", "readDigests": "x",
	"undrop": "x", "setThrough": "x", "settledIDs": "x",
	"insertSides": "ax", "putSides": "ax", "sidesOf": "ax", "touchSides": "a", "moveSide": "ax", "markErased": "ax", "dueErasures": "x",
	"listSides": "a", "insertRounds": "ax", "casesOfPerson": "a",
	"upsertPersons": "ax", "personsByDoc": "ax", "personKey": "ax", "personKeys": "ax", "erasePerson": "ax", "letSides": "a", "hideSides": "ax",
	"personsByID": "ax", "lockPersonRows": "a", "groupsOf": "ax", "insertFile": "a", "updateFile": "a", "setPresence": "a",
	"dropLookups": "ax", "addLookups": "ax", "dropFormerNames": "ax", "addFormerNames": "a", "insertPersonEvent": "a", "personEvents": "a",
	"addKeepers": "ax", "dropKeepers": "ax", "restrictPersons": "ax", "restrictSides": "ax", "keepersOf": "ax", "clerksOf": "a", "recentAccess": "a", "readsOf": "a",
	"searchNames": "a", "searchInitials": "a", "searchDocument": "a", "searchLast4": "a", "searchPhone": "a", "searchLiving": "a", "searchRegistered": "a",
	"insertConsent": "a", "updateConsent": "a", "shareConsents": "ax", "lockConsents": "a", "consentsOfPerson": "ax",
	"draftOffers": "x", "offerDrafts": "x", "sentOffer": "x",
	"servicesByKey": "ax", "servicesOf": "ax", "servicesOfPeriod": "ax", "putServices": "a", "insertTally": "ax", "lockTally": "ax", "readTally": "ax", "putTally": "ax",
	"lockFiles": "ax", "served": "a", "rootsOf": "ax", "mergedInto": "ax", "consentsOfPeople": "ax", "offersDue": "a", "countOffersDue": "a",
	"countTogether": "ax", "fillRounds": "x", "addsUp": "x", "countDeltas": "x", "addUp": "x", "dropEmptyDays": "x", "dropEmptyMonths": "x", "dropEmptyPeers": "x", "cubeMonths": "c", "cubeDays": "c", "cubePeers": "c",
	"dueRounds": "c", "roundsBehind": "a", "countBehind": "a", "unreceipted": "c", "gapsIn": "x", "unknownSides": "x", "unknownRounds": "x", "standSides": "x", "standRounds": "x",
	"recountSides": "x", "recountRounds": "x", "sidesAfter": "x", "roundsAfter": "x", "recountSums": "x",
	"addCertificates": "a", "certificateCounts": "c", "roundFacts": "c", "oldestDue": "c",
	"principalOf": "a", "putAccount": "a", "disableAccount": "a", "listAccounts": "a", "addToken": "a",
	"logAccess": "ax", "countLog": "a", "claimRequest": "a", "readRequest": "a", "finishRequest": "a", "addRequests": "a", "requestsOf": "a",
	"touchPeer": "x", "heardFrom": "x", "agreed": "x", "addMended": "x", "selectPeer": "x", "selectPeers": "ax", "setRoundTrip": "x",
	"addRecord": "x", "selectRecords": "x", "addQuarantine": "x", "getNote": "x", "putNote": "x", "beginOutage": "x", "endOutage": "x",
	"lockStandings": "a", "noticesOpened": "a", "lockApprovals": "a", "approvalsAbout": "a", "askApproval": "a", "giveApproval": "a", "useApprovals": "a", "countTry": "a",
	"listTodoSides": "a", "countTodoSides": "a", "markSeen": "a", "todoDuplicates": "a", "countTodoDuplicates": "a", "todoApprovals": "a", "countTodoApprovals": "a", "todoCertificates": "a",
	"addBulk": "a", "dropBulk": "a", "lockBulk": "a", "putBulk": "a", "logAccessNumber": "a", "listAccess": "a",
	"selectReminders": "ax", "putReminder": "a", "dropReminder": "a", "claimReminder": "x", "settleReminder": "x", "dropReminderDays": "x", "selectReminderDays": "a",
	"selectDuty": "a", "putDuty": "a", "dropDuty": "a", "accountsAt": "a", "openWork": "a",
	"selectEpoch": "x", "SizeBytes": "x", "SetOffices": "ax",
	"villagesOf": "ax", "putVillages": "o",
	"likePersons": "ax", "unpairedSides": "x", "metSides": "x", "putWaiting": "ax", "dropWaiting": "ax", "waitingFor": "a", "sweepWaiting": "x", "pairSide": "a", "foundSide": "ax", "ownSide": "a", "unpairSide": "a",
	"proposeDuplicates": "ax", "decideDuplicate": "a", "reopenDuplicate": "a", "duplicateStates": "ax", "listDuplicates": "a", "groupOf": "ax", "keysAndGroups": "ax", "mergeInto": "a", "joinRound": "a", "splitRound": "a",
	"movedPersons": "x", "openRounds": "ac", "unreceiptedAt": "c",
	"contactsOf": "a", "putContact": "a", "officeConsents": "x", "officeContacts": "x", "officeBirths": "x", "nobodyAnswered": "x", "countedAnswers": "x", "officeTallies": "x",
	"bookStandings": "x", "bookMonths": "x", "bookDays": "x", "countMovementsAt": "x", "countCertificatesAt": "x", "countResidents": "x", "countDuplicates": "x",
	"insertFrozen": "x", "latestFrozen": "xc", "frozenRevision": "xc", "frozenMonths": "xc", "monthRevisions": "xc", "monthRounds": "x", "firstDue": "xc", "monthPeers": "x", "monthSums": "x",
	"insertMonthRounds": "x", "selectMonthRounds": "xa", "putMonthState": "x", "monthStates": "xc", "putMonthPeer": "x", "markMonthSent": "x", "selectMonthPeers": "xa",
	"dropDifferences": "x", "dropDifference": "x", "addDifference": "x", "selectDifferences": "xa", "countDifferences": "xa",
	"keepReport": "x", "keptReport": "x",
	"putChild": "x", "childReports": "xc", "childrenEver": "xc", "firstChildMonth": "x", "childReportsOf": "c",
	"staleFiles": "x", "staleLookups": "x", "putIndexes": "x", "documentHolders": "x", "restampWaiting": "x", "dropStaleWaiting": "x", "indexKeyUse": "x",
}

// EXPLAIN checks privileges as the execution does.
func TestEveryStatement(t *testing.T) {
	url := storetest.NewURL(t)
	roles := map[rune]*pgx.Conn{'a': as(t, url, store.App), 'x': as(t, url, store.Exchange), 'c': as(t, url, store.Counts), 'o': connect(t, url)}
	all := statements(t)
	if len(all) < 60 {
		t.Fatalf("only %d statements found", len(all))
	}
	for name := range users {
		if _, ok := all[name]; !ok {
			t.Errorf("%s is no statement any more", name)
		}
	}
	for name, sql := range all {
		if users[name] == "" {
			t.Errorf("say in users which roles run %s", name)
		}
		for _, r := range users[name] {
			conn := roles[r]
			d, err := conn.Prepare(t.Context(), name, sql)
			if err != nil {
				t.Errorf("%s as %c: %v", name, r, err)
				continue
			}
			nulls := ""
			if n := len(d.ParamOIDs); n > 0 {
				nulls = "(" + strings.Join(slices.Repeat([]string{"NULL"}, n), ",") + ")"
			}
			run(t, conn, "BEGIN; SET LOCAL yipan.offices = '{1}'")
			if _, err := conn.Exec(t.Context(), fmt.Sprintf(`EXPLAIN EXECUTE %s%s`, pgx.Identifier{name}.Sanitize(), nulls)); err != nil {
				t.Errorf("%s as %c: %v", name, r, err)
			}
			run(t, conn, "ROLLBACK")
		}
	}
}

// A condition whose operator is not leakproof is asked after the policy, of
// every row that the policy lets through, and never of an index.
func TestSecurity27LeakproofOperators(t *testing.T) {
	conn := connect(t, storetest.NewURL(t))
	for name, sql := range statements(t) {
		if leaky.MatchString(sql) {
			t.Errorf("%s matches patterns", name)
		}
	}
	rows := list(t, conn, `SELECT o.oprname || ' ' || t.typname FROM pg_operator o JOIN pg_type t ON t.oid = o.oprleft AND t.oid = o.oprright JOIN pg_proc p ON p.oid = o.oprcode
		WHERE o.oprname IN ('=', '<', '<=', '>', '>=') AND t.typname IN (
			SELECT DISTINCT t.typname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
			WHERE c.relrowsecurity AND a.attnum > 0 AND c.relname <> 'access_log')
		AND NOT p.proleakproof AND NOT (t.typname = 'text' AND o.oprname <> '=')`)
	if len(rows) != 0 {
		t.Errorf("operators that are not leakproof on columns of guarded tables: %v", rows)
	}
}

var leaky = regexp.MustCompile(`(?i)\b(LIKE|ILIKE|SIMILAR|OVERLAPS)\b|~|@@|@>|<@`)
