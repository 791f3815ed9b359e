package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// refusal is what an S3 server answers for a while.
type refusal struct {
	name, code string
	status     int
	only       func(*http.Request) bool // nil: everything
}

// refused are an operator's and a provider's bad days.
var refused = []refusal{
	{name: "expired credentials that come back", code: "ExpiredToken", status: http.StatusBadRequest},
	{name: "a bucket that answers 403", code: "AccessDenied", status: http.StatusForbidden},
	{name: "a bucket that answers 429", code: "TooManyRequests", status: http.StatusTooManyRequests},
}

func (f *refusal) answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(f.status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>refused</Message></Error>", f.code)
}

// refuse refuses everything for a while. It returns false at once if something is refused already.
func (g *gate) refuse(ctx context.Context, f *refusal, d time.Duration) bool {
	if !g.refusal.CompareAndSwap(nil, f) {
		return false
	}
	wait(ctx, d)
	g.refusal.Store(nil)
	return true
}

// refuse lets S3 refuse everything for a while, with each answer in turn.
func (d *disturber) refuse(ctx context.Context) {
	f := &refused[d.refusals%len(refused)]
	d.refusals++
	length := time.Duration(1000+d.random.IntN(3000)) * time.Millisecond
	d.paused.Go(func() {
		if d.gate.refuse(ctx, f, length) {
			d.notes.add(f.name)
			d.write("S3 refused with %s for %s", f.code, length)
		}
	})
}

// charged counts failures that objects were to blame for, and attempts that no failure explains. There may be none:
// whatever is done to S3 or to a process is no fault of a file's.
func (w *world) charged(ctx context.Context) error {
	var failures, attempts, suspects int
	err := w.db.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM prediction_failures f JOIN predictions d ON d.id = f.prediction_id
		        WHERE NOT (f.part_no IS NULL AND f.generation < d.generation) -- a last step that was scored anew from scratch
		          AND (f.error->>'stage' IN ('reading', 'writing') OR f.error->>'code' IN ('ERR-1110', 'ERR-1502', 'ERR-1506'))),
		       (SELECT count(*) FROM prediction_parts p WHERE p.status = 'done' AND p.attempts > 1 +
		            (SELECT count(*) FROM prediction_failures f
		             WHERE f.prediction_id = p.prediction_id AND f.generation = p.generation AND f.part_no = p.part_no
		               AND f.error->>'stage' <> 'lease')),
		       (SELECT count(*) FROM prediction_parts WHERE status = 'done' AND deaths > 0)`).
		Scan(&failures, &attempts, &suspects)
	if err == nil && failures > 0 {
		w.notes.violation("%d attempts were charged for what S3 did", failures)
	}
	if err == nil && attempts > 0 {
		w.notes.violation("%d parts were charged attempts for the end of their workers", attempts)
	}
	fmt.Printf("\n%d parts were done alone after the end of their workers\n", suspects)
	return err
}
