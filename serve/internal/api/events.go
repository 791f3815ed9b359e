package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
)

const (
	eventsTimeout = 4 * time.Hour // then the client reconnects with Last-Event-ID
	// eventsPause is the least time between two queries of a stream, and eventsPauseMax the longest: the database says when
	// a prediction changes, but a notification can be lost.
	eventsPause    = 250 * time.Millisecond
	eventsPauseMax = 5 * time.Second
	// eventsKeepAliveInterval is that of comments, which keep proxies from closing the connection and show that a client
	// has disconnected.
	eventsKeepAliveInterval = 5 * time.Second
)

// streamEvents streams the progress of a prediction until it is done: "state" when its status changes, "progress" when rows
// were added, "done" at the end. Each event has the whole resource, so a client may miss one.
func streamEvents(s *server, r *request) error {
	held, err := s.places.Streams.TakeAtOnce(r.caller(), r.meter()) // before the database is asked
	if err != nil {
		return err
	}
	r.onEnd(held.Leave)
	p, err := s.findPrediction(r)
	if err != nil {
		return err
	}
	last := lastEventID(r.header("Last-Event-ID"))
	ctx, cancel := r.detachContext()
	if err := r.rc.SetWriteDeadline(time.Now().Add(streamIdleTimeout)); err != nil {
		return err
	}
	held.OnLoss(func() { // the client connects again, and finds its share taken
		cancel()
		held.Leave()
	})
	e := &eventStream{server: s, conn: r.rc.Conn(), id: last, written: time.Now()}
	id := r.id
	r.set("Content-Type", "text/event-stream")
	r.set("Cache-Control", "no-store")
	r.set("X-Accel-Buffering", "no")
	r.rc.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer held.Leave()
		defer cancel()
		err := fault.Recover(func() error { e.run(ctx, w, p); return nil })
		if err != nil { // the client reconnects, as after any end of the stream
			s.Log.Error("event stream", "request_id", id, "error", err)
		}
	})
	return nil
}

// lastEventID parses Last-Event-ID; 0 if it is not an id of this server. The ids of a stream continue from it, so that they
// increase over all streams of a client.
func lastEventID(text string) int64 {
	last, err := strconv.ParseInt(text, 10, 64)
	if err != nil || last < 0 || last > 1<<53 { // beyond it, JavaScript's numbers have gaps
		return 0
	}
	return last
}

// eventStream belongs to the goroutine that writes it.
type eventStream struct {
	server  *server
	conn    net.Conn
	id      int64
	written time.Time
}

// run sends events until the prediction is done, the client has disconnected or the server stops. Only a failed flush shows
// that a client has disconnected.
func (e *eventStream) run(ctx context.Context, w *bufio.Writer, p store.Prediction) {
	changes, stop := e.server.Store.Predictions.Watch(p.InternalID)
	defer stop()
	if !e.send(w, firstKind(p), p) {
		return
	}
	for !p.Status.Done() {
		if !waitForChange(ctx, changes, eventsPause, eventsPauseMax) {
			return
		}
		now, err := e.server.Store.Predictions.Get(ctx, p.UserID, p.ID)
		if err != nil {
			return // the client reconnects and gets the reason as an answer
		}
		kind := changed(p, now)
		p = now
		switch {
		case kind != "" && !e.send(w, kind, p), kind == "" && !e.keepAlive(w):
			return
		}
	}
}

// waitForChange waits until changes receives, at least for least and at most for most. It returns false if ctx ends.
func waitForChange(ctx context.Context, changes <-chan struct{}, least, most time.Duration) bool {
	if backoff.Sleep(ctx, least) != nil {
		return false
	}
	timer := time.NewTimer(most - least)
	defer timer.Stop()
	select {
	case <-changes:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

func firstKind(p store.Prediction) string {
	if p.Status.Done() {
		return "done"
	}
	return "state"
}

// changed returns the kind of event between two queries; empty if nothing has changed.
func changed(before, after store.Prediction) string {
	switch {
	case after.Status.Done():
		return "done"
	case after.Status != before.Status:
		return "state"
	case after.Scored != before.Scored || after.Rejected != before.Rejected:
		return "progress"
	}
	return ""
}

func (e *eventStream) send(w *bufio.Writer, kind string, p store.Prediction) bool {
	text, err := json.Marshal(e.server.resource(p, time.Now()))
	if err != nil {
		return false
	}
	e.id++
	_, _ = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.id, kind, text)
	return e.flush(w)
}

func (e *eventStream) keepAlive(w *bufio.Writer) bool {
	if time.Since(e.written) < eventsKeepAliveInterval {
		return true
	}
	_, _ = w.WriteString(": waiting\n\n")
	return e.flush(w)
}

func (e *eventStream) flush(w *bufio.Writer) bool {
	e.written = time.Now()
	return e.conn.SetWriteDeadline(e.written.Add(streamIdleTimeout)) == nil && w.Flush() == nil
}
