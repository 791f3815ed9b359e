package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/retainwise/millrace/serve/internal/backoff"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
)

const (
	eventsTimeout           = 4 * time.Hour          // then a client comes back with Last-Event-ID
	eventsPollInterval      = 250 * time.Millisecond // between looks
	eventsKeepAliveInterval = 15 * time.Second       // then a comment keeps proxies from giving up
)

// streamEvents reports how a prediction goes on until it is done: "state" when its status changes, "progress" when rows
// were added, "done" at the end. Each event carries the whole resource, so one that was missed is not missed much.
func streamEvents(s *server, r *request) error {
	p, err := s.findPrediction(r)
	if err != nil {
		return err
	}
	select {
	case s.streams <- struct{}{}:
	default:
		return fault.Fail(fault.CodeBusy, "").With(fault.Details{"limit": cap(s.streams), "unit": "open event streams"})
	}
	last := lastEventID(r.header("Last-Event-ID"))
	ctx, cancel := r.detachContext()
	if err := r.rc.SetWriteDeadline(time.Now().Add(streamIdleTimeout)); err != nil {
		<-s.streams
		return err
	}
	e := &eventStream{server: s, conn: r.rc.Conn(), id: last, written: time.Now()}
	id := r.id
	r.set("Content-Type", "text/event-stream")
	r.set("Cache-Control", "no-store")
	r.set("X-Accel-Buffering", "no")
	r.rc.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer func() { <-s.streams }()
		defer cancel()
		err := fault.Recover(func() error { e.run(ctx, w, p); return nil })
		if err != nil { // the client comes back, as after any end of the stream
			s.Log.Error("event stream", "request_id", id, "error", err)
		}
	})
	return nil
}

// lastEventID reads where a client stopped to listen; what cannot be one of our ids is the beginning. Ids go on from
// there, so that they increase over all streams of one client.
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

// run ends when the prediction is done, the client is gone or the server stops. Only a failed flush shows that a client
// is gone.
func (e *eventStream) run(ctx context.Context, w *bufio.Writer, p store.Prediction) {
	if !e.send(w, firstKind(p), p) {
		return
	}
	for !p.Status.Done() {
		if backoff.Sleep(ctx, eventsPollInterval) != nil {
			return
		}
		now, err := e.server.Store.Prediction(ctx, p.UserID, p.ID)
		if err != nil {
			return // the client comes back and gets the reason as an answer
		}
		kind := changed(p, now)
		p = now
		switch {
		case kind != "" && !e.send(w, kind, p), kind == "" && !e.keepAlive(w):
			return
		}
	}
}

func firstKind(p store.Prediction) string {
	if p.Status.Done() {
		return "done"
	}
	return "state"
}

// changed names what happened between two looks; empty: nothing.
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
