package main

import (
	"bytes"
	"context"
	"net/http"
	"time"
)

// Bit flips on the way from S3, as bad memory or a wire makes them.
const (
	flipsNote     = "spells in which bits flip in what S3 sends"
	flippedNote   = "  bits flipped"
	downloadsNote = "  downloads meanwhile, right"
	flippedOneIn  = 8 // answers with an object
)

// flipBits flips bits in some of what S3 sends for a while. Every prediction must end with the bytes of an undisturbed run
// and no attempt charged; and what a customer downloads meanwhile must be right, or no success.
func (d *disturber) flipBits(ctx context.Context) {
	length := time.Duration(1000+d.random.IntN(3000)) * time.Millisecond
	d.paused.Go(func() {
		before := d.gate.flips.Count()
		d.gate.flips.Begin(flippedOneIn)
		defer d.gate.flips.End()
		spell, stop := context.WithTimeout(ctx, length)
		defer stop()
		for spell.Err() == nil {
			d.download(spell)
			wait(spell, 100*time.Millisecond)
		}
		n := d.gate.flips.Count() - before
		if n > 0 {
			d.notes.add(flipsNote)
		}
		for range n {
			d.notes.add(flippedNote)
		}
		d.write("flipped %d bits of what S3 sent within %s", n, length)
	})
}

// download reads the newest result that was verified. A success must have its bytes.
func (d *disturber) download(ctx context.Context) {
	s, ok := d.rounds.newest()
	if !ok {
		return
	}
	status, body, err := d.client.do(ctx, http.MethodGet, d.client.api+"/predictions/"+s.PublicID+"/download",
		d.issuer.token(s.name), s.name, nil)
	switch {
	case err != nil || status != http.StatusOK:
	case bytes.Equal(body, s.want().Result):
		d.notes.add(downloadsNote)
	default:
		d.notes.violation("%s was downloaded with 200 and other bytes", s.PublicID)
	}
}
