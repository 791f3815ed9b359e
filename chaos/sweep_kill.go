package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/retainwise/millrace/chaos/check"
)

// moment is a point of a sweep at which the process that sweeps is killed.
type moment struct {
	name  string
	of    func(r *http.Request, body []byte, planted []string) bool // a request of the sweep
	after bool                                                      // S3 has done it, and the process has no answer yet
}

// moments are all points at which another process must be able to go on.
var moments = []moment{
	{"before objects were deleted", isDeletion, false},
	{"when objects were deleted and that was not noted", isDeletion, true},
	{"while it listed objects", isListing, true},
	{"when it was counted in the database and not in the store", isCount, false},
	{"when it was counted and had not begun", isCount, true},
}

func isDeletion(r *http.Request, body []byte, planted []string) bool {
	return deletes(r) && bytes.Contains(body, []byte(planted[0]))
}

func isListing(r *http.Request, _ []byte, _ []string) bool {
	q := r.URL.Query()
	return r.Method == http.MethodGet && q.Has("list-type") && q.Get("prefix") == "results/"
}

func isCount(r *http.Request, _ []byte, _ []string) bool {
	return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/"+check.MarkKey)
}

// trap kills a process at a moment, once.
type trap struct {
	moment  *moment
	planted []string
	kill    func(process string) bool

	mu     sync.Mutex
	sprung chan struct{} // closed when it has
}

// guard kills the process that sends the request if it is the moment's.
func (t *trap) guard(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	var body []byte
	if deletes(r) { // it is short
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	switch {
	case !t.moment.of(r, body, t.planted):
	case t.moment.after:
		return &answered{w, func() { t.spring(r) }}
	case t.spring(r):
		panic(http.ErrAbortHandler) // it is not passed on
	}
	return w
}

// spring kills the sender, unless that has gone already or is spared.
func (t *trap) spring(r *http.Request) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.sprung:
		return false
	default:
	}
	if r.Context().Err() != nil || !t.kill(sender(r)) {
		return false
	}
	close(t.sprung)
	return true
}

// answered calls a function between the server's answer and the client's.
type answered struct {
	http.ResponseWriter
	then func()
}

func (a *answered) WriteHeader(status int) {
	if status/100 == 2 {
		a.then()
	}
	a.ResponseWriter.WriteHeader(status)
}

// plantedAge is older than what a sweep leaves alone.
const plantedAge = 48 * time.Hour

// killSweeper leaves objects that no row knows, as a crash of two days ago would have, kills the process that sweeps at the
// nth moment, and waits until others have removed them.
func (d *disturber) killSweeper(ctx context.Context, n int) error {
	planted, err := d.plant(ctx)
	if err != nil {
		return err
	}
	t := &trap{moment: &moments[n%len(moments)], planted: planted, sprung: make(chan struct{})}
	t.kill = d.spareLastTurn
	d.gate.trap.Store(t)
	defer d.gate.trap.Store(nil)
	select {
	case <-t.sprung:
	case <-ctx.Done():
		return fmt.Errorf("no process was killed %s: %w", t.moment.name, ctx.Err())
	}
	d.notes.add("  " + t.moment.name)
	d.write("killed the process that swept %s", t.moment.name)
	return d.until(ctx, "objects of unknown owners are removed", func() (bool, error) {
		for _, key := range planted {
			if left, err := d.checker.Objects(ctx, key); err != nil || len(left) > 0 {
				return false, err
			}
		}
		return true, d.unstopped(ctx)
	})
}

// plant makes objects of old age that nothing knows.
func (d *disturber) plant(ctx context.Context) (keys []string, err error) {
	old := time.Now().Add(-plantedAge)
	for _, name := range []string{
		"uploads/%s/input.csv", "results/%s/1/result.csv", "results/%s/1/parts/00000-result.csv", "direct/%s.csv",
	} {
		var id string
		if err := d.db.QueryRow(ctx, `SELECT gen_random_uuid()::text`).Scan(&id); err != nil {
			return nil, err
		}
		key := fmt.Sprintf(name, id)
		if err := d.checker.Put(ctx, key, []byte("left over")); err != nil {
			return nil, err
		}
		if err := os.Chtimes(filepath.Join(d.servers.S3Dir, key), old, old); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// unstopped is an error if sweeps wait for an operator: there is nothing unusual about few objects of old age.
func (d *disturber) unstopped(ctx context.Context) error {
	var reason string
	err := d.db.QueryRow(ctx, `SELECT coalesce(stopped_reason, '') FROM installation`).Scan(&reason)
	if err == nil && reason != "" {
		err = fmt.Errorf("sweeps are stopped: %s", reason)
	}
	return err
}
