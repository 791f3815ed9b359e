package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/retainwise/millrace/chaos/check"
)

// settled is a prediction that was found complete, with the print of its rows at that moment.
type settled struct {
	check.Prediction
	name  string
	print []string
	input *input
}

// rounds sends files, waits until all of them are scored, and checks what came of them, again and again. It is safe
// for concurrent use: several rounds overlap, so that there is always something to do.
type rounds struct {
	*world
	mu   sync.Mutex
	next int
	done []settled
	rows int64
}

// run makes rounds until ctx ends; a round that has begun is ended.
func (r *rounds) run(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		no := r.next
		r.next++
		r.mu.Unlock()
		r.round(context.WithoutCancel(ctx), no)
	}
}

func (r *rounds) round(ctx context.Context, no int) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Stuck)
	defer cancel()
	random := rand.New(rand.NewPCG(r.config.Seed, uint64(no)+100))
	var files sync.WaitGroup
	all := make([][]settled, r.config.Files)
	for i := range all {
		in, model := r.inputs[random.IntN(len(r.inputs))], "telecom"
		if r.bundles != nil && random.IntN(2) == 0 {
			model = bundleName
		}
		files.Go(func() { all[i] = r.file(ctx, fmt.Sprintf("round-%d-file-%d.csv", no, i), model, in) })
	}
	files.Wait()
	var done []settled
	for _, list := range all {
		done = append(done, list...)
	}
	for i := range done {
		r.verify(context.WithoutCancel(ctx), &done[i])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, done...)
	for _, s := range done {
		r.rows += s.Rows
	}
	fmt.Printf("round %3d: %2d predictions checked; %d in all, %d kills, %d pauses, %d network faults, %d violations\n",
		no, len(done), len(r.done), r.notes.count(killsNote), r.notes.count(pausesNote), r.notes.count(faultsNote),
		r.notes.bad())
}

// file sends a file, under one key however often, and follows what came of it to its end.
func (r *rounds) file(ctx context.Context, name, model string, in *input) (done []settled) {
	id, err := r.client.upload(ctx, name, model, in)
	if err != nil {
		r.notes.violation("%s was not accepted: %v", name, err)
		return nil
	}
	for {
		list, err := r.checker.Predictions(ctx, name)
		if err != nil {
			r.notes.violation("%s is not finished: %v", name, err)
			return nil
		}
		known, open := false, false
		for i := range list {
			known = known || list[i].PublicID == id
			open = open || !r.ended(name, &list[i])
		}
		if !known {
			r.notes.violation("%s was accepted as %s, which does not exist", name, id)
			return nil
		}
		if open {
			wait(ctx, 50*time.Millisecond)
			continue
		}
		if len(list) > 1 {
			r.notes.violation("%s was sent again under its key and is there %d times", name, len(list))
		}
		return r.settle(ctx, name, in, list)
	}
}

// ended reports whether a prediction has come to its end. No kill, no outage, no failure and no other file may end in
// anything but a result.
func (r *rounds) ended(name string, p *check.Prediction) bool {
	if p.Done() && p.Status != "completed" {
		r.notes.violation("%s (%s) is %s with %s in %s", name, p.PublicID, p.Status, p.Code, p.Stage)
	}
	return p.Done()
}

func (r *rounds) settle(ctx context.Context, name string, in *input, list []check.Prediction) (done []settled) {
	for _, p := range list {
		print, err := r.checker.Print(ctx, p.ID)
		if err != nil {
			r.notes.violation("%s: %v", name, err)
			continue
		}
		done = append(done, settled{Prediction: p, name: name, print: print, input: in})
	}
	return done
}

// want is what the prediction must have: of the bundle that it was accepted with.
func (s *settled) want() check.Input {
	in := s.input.Input
	if strings.HasPrefix(s.Version, kindEdited) {
		in.Result = s.input.edited
	}
	return in
}

// verify checks a prediction and that nothing was written since it was complete.
func (r *rounds) verify(ctx context.Context, s *settled) {
	in := s.want()
	wrong, err := r.checker.Verify(ctx, &s.Prediction, &in)
	if err != nil {
		r.notes.violation("%s (%s): %v", s.name, s.PublicID, err)
	}
	for _, line := range wrong {
		r.notes.violation("%s (%s): %s", s.name, s.PublicID, line)
	}
	r.verifyPrint(ctx, s)
}

func (r *rounds) verifyPrint(ctx context.Context, s *settled) {
	print, err := r.checker.Print(ctx, s.ID)
	if err != nil {
		r.notes.violation("%s (%s): %v", s.name, s.PublicID, err)
		return
	}
	if gone, fresh := without(s.print, print), without(print, s.print); len(gone)+len(fresh) > 0 {
		r.notes.violation("%s (%s), generation %d, was written to after its completion: %q became %q",
			s.name, s.PublicID, s.Generation, gone, fresh)
	}
	s.print = print
}

// verifyFiles checks that every file of every prediction is still there.
func (r *rounds) verifyFiles(ctx context.Context) error {
	list := make([]check.Prediction, len(r.done))
	for i := range r.done {
		list[i] = r.done[i].Prediction
	}
	missing, err := r.checker.Missing(ctx, list)
	for _, key := range missing {
		r.notes.violation("%s is gone", key)
	}
	return err
}

// take returns a prediction that is complete and was verified, and takes it out of what is verified again; false if there
// is none but one.
func (r *rounds) take() (s settled, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.done) < 2 {
		return s, false
	}
	s = r.done[0]
	r.done = r.done[1:]
	return s, true
}

// newest is the newest prediction that was verified; false if there is none.
func (r *rounds) newest() (s settled, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.done) == 0 {
		return s, false
	}
	return r.done[len(r.done)-1], true
}

// last is the newest prediction that was verified.
func (r *rounds) last() settled {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done[len(r.done)-1]
}

// without are the lines of a that b has not.
func without(a, b []string) (lines []string) {
	for _, line := range a {
		if !slices.Contains(b, line) {
			lines = append(lines, line)
		}
	}
	return lines
}
