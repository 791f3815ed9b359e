package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"

	"github.com/retainwise/millrace/chaos/check"
)

// deadlyNote counts files that end every worker that reads them, as one that needs too much memory does.
const deadlyNote = "a file that ends its workers"

// deadly kills the worker that reads a file, each time.
type deadly struct {
	marker []byte // the file is the one that contains it
	kill   func(process string) bool

	mu    sync.Mutex
	paths map[string]bool // of the file in the bucket, where it was stored: again if its sender was not answered
	kills int
}

// meet looks for the file in what is stored, and kills its readers. A request of theirs is not passed on.
func (d *deadly) meet(r *http.Request) {
	var body []byte
	if r.Method == http.MethodPut {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			panic(http.ErrAbortHandler) // the sender is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case bytes.Contains(body, d.marker) && strings.Contains(r.URL.Path, "/uploads/"):
		d.paths[r.URL.Path] = true
	case r.Method == http.MethodGet:
		if d.paths[r.URL.Path] && strings.HasPrefix(sender(r), "worker") && d.kill(sender(r)) {
			d.kills++
			panic(http.ErrAbortHandler)
		}
	}
}

// sendDeadly sends a file that ends its workers, until its prediction is dead. Its neighbours are the files of the rounds,
// of which none may be: see [rounds.ended].
func (d *disturber) sendDeadly(ctx context.Context, n int) error {
	name := fmt.Sprintf("deadly-%d.csv", n)
	in := &input{explain: "none"}
	in.CSV = append(customers(rand.New(rand.NewPCG(d.config.Seed, uint64(n))), 40, func(int) bool { return false }),
		name+",1,20.00,20.00,One year,Mailed check,DSL,plain\n"...)
	killer := &deadly{marker: []byte(name), kill: d.killNamed, paths: map[string]bool{}}
	d.gate.deadly.Store(killer)
	defer d.gate.deadly.Store(nil)
	id, err := d.client.upload(ctx, name, "telecom", in)
	if err != nil {
		return err
	}
	var end check.Prediction
	err = d.until(ctx, "the file that ends its workers is dead", func() (bool, error) {
		list, err := d.checker.Predictions(ctx, name)
		if err != nil || len(list) != 1 {
			return false, err
		}
		end = list[0]
		return end.Done(), nil
	})
	killer.mu.Lock()
	defer killer.mu.Unlock()
	d.write("%s (%s) is %s after %d kills", name, id, end.Status, killer.kills)
	// Each kill that is not its own is another death; each death that is taken back allows one more.
	if err == nil && (end.Status != "dead" || end.Code != "ERR-1112" || killer.kills < 1 || killer.kills > 6) {
		err = fmt.Errorf("%s is %s with %q after %d kills", name, end.Status, end.Code, killer.kills)
	}
	return err
}

func (d *disturber) killNamed(name string) bool {
	for _, p := range d.workers {
		if p.name == name {
			return p.signal(syscall.SIGKILL)
		}
	}
	return false
}

// spareLastTurn is killNamed for what may wait for another process.
func (d *disturber) spareLastTurn(name string) bool {
	for _, p := range d.workers {
		if p.name == name && d.lastTurn(context.Background(), p) {
			d.notes.add(sparedNote)
			return false
		}
	}
	return d.killNamed(name)
}

// lastTurn reports whether a stopped worker runs something alone after two deaths. Ending it again would be what a deadly
// file does, and its prediction rightly dead.
func (d *disturber) lastTurn(ctx context.Context, p *process) bool {
	name, _ := p.workerName()
	var last bool
	err := d.db.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM prediction_parts WHERE worker = $1 AND status = 'open' AND deaths >= 2)
		    OR EXISTS (SELECT FROM predictions WHERE finish_worker = $1 AND finish_due AND finish_deaths >= 2)`, name).Scan(&last)
	return err != nil || last
}
