package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
)

// statement is one that a method of the store sends, and how the server runs it.
type statement struct {
	Method string `json:"method"` // the first that sends it
	SQL    string `json:"sql"`    // with single spaces
	// Plan lists how tables are read, outermost first; empty: there is none to ask for.
	Plan string `json:"plan,omitempty"`
	// P50 and P95 are what the server took, in milliseconds, without commit; 0: not run a second time, because rows
	// were locked.
	P50 float64 `json:"p50_ms,omitempty"`
	P95 float64 `json:"p95_ms,omitempty"`

	bulk bool
}

// explainMethods calls every method once more and asks for the plan of each statement right before it is sent, with
// what it is sent with, in a transaction that is rolled back.
func (r *Report) explainMethods(ctx context.Context, w *storeWork, runs int) error {
	e := explainer{ctx: ctx, conn: w.database.conn, report: r, runs: runs}
	traced, err := store.Open(ctx, store.Config{URL: w.database.schemaURL(), WaitingMax: waitingMax, Trace: e.trace})
	if err != nil {
		return err
	}
	defer traced.Close()
	w.Store, w.owner = traced, store.NewOwner(traced, w.objects, nil)
	for _, m := range w.methods() {
		e.method, e.bulk, e.user = m.name, m.bulk != "", nil
		call := m.call
		m.call = func(ctx context.Context) error {
			e.tracing = true
			defer func() { e.tracing = false }()
			return call(ctx)
		}
		if _, err := m.once(ctx); err != nil {
			return err
		}
	}
	return e.err
}

// explainer runs EXPLAIN. It is called from one goroutine, as methods are called one after the other.
type explainer struct {
	ctx     context.Context
	conn    *pgx.Conn
	report  *Report
	runs    int // of each statement
	method  string
	bulk    bool
	tracing bool
	user    *pgx.QueuedQuery // what the statements are preceded by when they run for a user
	inTx    bool
	err     error
}

// trace is called with each statement before it is sent.
func (e *explainer) trace(sql string, args []any) {
	if !e.tracing || e.err != nil {
		return
	}
	sql = strings.Join(strings.Fields(sql), " ")
	if strings.HasPrefix(sql, "SET ROLE ") { // of a connection that is made for the one that the upkeep lock takes
		return
	}
	known := slices.ContainsFunc(e.report.Statements, func(s statement) bool { return s.SQL == sql })
	isUser := strings.Contains(sql, "app.user_id")
	if enter, begins := strings.CutPrefix(sql, "begin; "); begins { // a transaction for a user
		e.user, e.inTx = &pgx.QueuedQuery{SQL: enter}, true
		return
	}
	if !known && !slices.Contains([]string{"begin", "commit", "rollback", "-- ping"}, sql) {
		s := statement{Method: e.method, SQL: sql, bulk: e.bulk}
		if !isUser {
			e.err = e.explain(&s, args)
		}
		e.report.Statements = append(e.report.Statements, s)
	}
	switch {
	case isUser: // holds for the transaction, or else for the one statement that follows in the batch
		e.user = &pgx.QueuedQuery{SQL: sql, Arguments: args}
	case sql == "begin":
		e.user, e.inTx = nil, true
	case sql == "commit" || sql == "rollback" || !e.inTx:
		e.user, e.inTx = nil, false
	}
}

// explained is what EXPLAIN answers with.
type explained []struct {
	Plan          planNode
	ExecutionTime float64 `json:"Execution Time"`
}

// explain runs the statement several times if it need not wait for a lock, which the method may hold itself.
func (e *explainer) explain(s *statement, args []any) error {
	var times []float64
	var answer explained
	for range e.runs {
		var err error
		if answer, err = e.ask("EXPLAIN (ANALYZE, FORMAT JSON) ", s.SQL, args); err != nil {
			break
		}
		times = append(times, answer[0].ExecutionTime)
	}
	if len(times) < e.runs {
		var err error
		if answer, err = e.ask("EXPLAIN (FORMAT JSON) ", s.SQL, args); err != nil {
			return fmt.Errorf("explain %.60s: %w", s.SQL, err)
		}
	} else {
		slices.Sort(times)
		s.P50, s.P95 = quantile(times, 0.5), quantile(times, 0.95)
	}
	s.Plan = strings.Join(answer[0].Plan.scans(nil), ", ")
	return nil
}

func (e *explainer) ask(how, sql string, args []any) (answer explained, err error) {
	tx, err := e.conn.Begin(e.ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(e.ctx) }() // there is nothing to keep
	if _, err := tx.Exec(e.ctx, `SET LOCAL lock_timeout = '200ms'`); err != nil {
		return nil, err
	}
	if e.user != nil {
		if _, err := tx.Exec(e.ctx, e.user.SQL, e.user.Arguments...); err != nil {
			return nil, err
		}
	}
	var text []byte
	if err := tx.QueryRow(e.ctx, how+sql, args...).Scan(&text); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer) != 1 {
		return nil, fmt.Errorf("%d plans: %w", len(answer), err)
	}
	return answer, nil
}

// planNode is a step of what EXPLAIN returns.
type planNode struct {
	Type     string     `json:"Node Type"`
	Table    string     `json:"Relation Name"`
	Index    string     `json:"Index Name"`
	Children []planNode `json:"Plans"`
}

// scans adds how the node and those below it read tables, each once.
func (n *planNode) scans(list []string) []string {
	text := ""
	switch {
	case n.Index != "" && n.Type != "Bitmap Heap Scan":
		text = n.Type + " " + n.Index
	case n.Type == "Seq Scan":
		text = n.Type + " " + n.Table
	case n.Type == "ModifyTable" && n.Table != "":
		text = "write " + n.Table
	}
	if text != "" && !slices.Contains(list, text) {
		list = append(list, text)
	}
	for i := range n.Children {
		list = n.Children[i].scans(list)
	}
	return list
}

// statementShown is how much of a statement a table shows.
const statementShown = 100

var statementHeadings = []string{"statement", "first sent by", "plan", "P50 ms", "P95 ms"}

// cells are in the order of statementHeadings.
func (s *statement) cells() []string {
	text, p50, p95, plan := []rune(s.SQL), "", "", s.Plan
	if s.P95 > 0 {
		p50, p95 = figure(s.P50), figure(s.P95)
	}
	if plan == "" {
		plan = "reads no table"
	}
	shown := string(text[:min(len(text), statementShown)])
	return []string{"`" + strings.ReplaceAll(shown, "|", "¦") + "`", s.Method, plan, p50, p95}
}

// writeStatementRows writes them as Markdown.
func (r *Report) writeStatementRows(out *pageWriter) {
	if len(r.Statements) == 0 {
		return
	}
	out.printf("\n")
	out.row(statementHeadings)
	out.row(slices.Repeat([]string{"---"}, len(statementHeadings)))
	for i := range r.Statements {
		out.row(r.Statements[i].cells())
	}
}
