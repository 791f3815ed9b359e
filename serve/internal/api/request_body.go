package api

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/place"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/valyala/fasthttp"
)

const (
	bodyGrace      = 5 * time.Second // before the minimal rate applies
	bodyRateMin    = 16 << 10        // bytes a second
	multipartExtra = 64 << 10        // beside the file: boundaries, part headers and small fields

	// What a chunked body may have beside its data: chunks of one byte have five more, and extensions are not used.
	framingMax    = 32 << 10
	framingFactor = 16
)

// body reads a request's body as a stream. It checks the size, the minimal rate (bodyRateMin), the end and the digests. Its
// errors are failures with a published code, and the first one is returned by every later Read.
type body struct {
	stream      io.Reader
	conn        net.Conn
	setDeadline func(time.Time) error
	length      int64 // as announced; -1 if chunked
	limit       int64
	read        int64
	waited      time.Duration // time spent in Read, which is the client's
	digests     wire.Digests  // as announced
	place       *place.Place  // held while the body arrives; nil: none
	admit       func() error  // called before the first Read; nil afterwards
	held        *wire.Spool   // the rest of a body that was read before the work on it; nil: it is read as it arrives
	turns       *turns        // of the work on it while it arrives; nil: that needs no place of its own
	err         error
}

// smallBodyMax is the size up to which a body is read before a place is taken for the work on it, so that
// no connection decides how long others wait for that place.
const smallBodyMax = 16 << 20

// receiveBody is openBody for a file. When it is first read, a small one is read to its end; a large one, or one of unknown
// length whose limit is large, takes a place of its user for as long as it arrives. A client that is slow loses either
// while others wait.
func (r *request) receiveBody(limit, extra int64) (*body, error) {
	b, err := r.openBody(limit, extra)
	if err != nil {
		return nil, err
	}
	b.admit = func() error { return b.hold(r) }
	if b.length > smallBodyMax || b.length < 0 && limit > smallBodyMax {
		b.admit = func() (err error) {
			if b.place, err = r.places.Uploads.Take(r.ctx, r.caller(), r.meter()); err == nil {
				b.place.OnLoss(b.expire)
			}
			return err
		}
	}
	return b, nil
}

// hold reads the body into the request's memory.
func (b *body) hold(r *request) error {
	b.place = r.memory()
	b.place.OnLoss(b.expire)
	held := r.newSpool()
	_, err := held.ReadFrom(b)
	b.place.OnLoss(func() {}) // the next block is refused
	b.place.Busy(true)
	if err != nil {
		_ = held.Close()
		return err
	}
	b.held, b.place = held, nil
	return nil
}

// start admits the body before it is first read.
func (b *body) start() error {
	if admit := b.admit; admit != nil {
		b.admit = nil
		if err := admit(); err != nil {
			b.err = err
		}
	}
	return b.failed()
}

// expire ends a Read that waits for the client.
func (b *body) expire() { _ = b.conn.SetReadDeadline(time.Now()) }

// work takes the place for the work on a body, which leave returns. A large body is worked on while it arrives: the place to
// receive it is all that an upload needs, and other work takes turns.
func (r *request) work(b *body, places *place.Pool) (leave func(), err error) {
	switch err := b.start(); {
	case err != nil, b.held == nil && places == r.places.Uploads:
		return func() {}, err
	case b.held == nil:
		return b.takeTurns(r, places), nil
	}
	p, err := places.Take(r.ctx, r.caller(), nil)
	return p.Leave, err
}

// batchBytes is how much of a large body is received between two turns of the work on it.
const batchBytes = 1 << 20

// turns is the work on a large body. It takes a place for each batch that was received, and holds none while it waits for
// the client.
type turns struct {
	place *place.Place
	begun bool            // it had a place before
	ctx   context.Context // ends when the body loses the place to receive it
	batch []byte
	rest  []byte // of the batch
}

// takeTurns makes Read return batches, each with a place for the work on it, until leave is called.
func (b *body) takeTurns(r *request, places *place.Pool) (leave func()) {
	ctx, cancel := context.WithCancel(r.ctx)
	b.turns = &turns{place: places.Open(r.caller(), nil), ctx: ctx, batch: make([]byte, batchBytes)}
	b.place.OnLoss(func() {
		cancel()
		b.expire()
	})
	return func() {
		cancel()
		b.turns.place.Leave()
	}
}

// readInTurn is Read while there are turns.
func (b *body) readInTurn(p []byte) (int, error) {
	if t := b.turns; len(t.rest) == 0 && b.err == nil {
		if err := b.nextTurn(t); err != nil {
			b.err = err
		}
	}
	if err := b.failed(); err != nil {
		return 0, err
	}
	n := copy(p, b.turns.rest)
	if b.turns.rest = b.turns.rest[n:]; n == 0 && len(p) > 0 {
		return 0, b.err
	}
	return n, nil
}

// nextTurn receives a batch and takes the place for it. The first is refused if there is none for two seconds, as any
// request is; later ones wait for theirs as long as the request may take, since most of the body may have arrived.
func (b *body) nextTurn(t *turns) error {
	t.place.Shrink(1)
	b.place.Busy(false)
	n := 0
	for n < len(t.batch) && b.err == nil {
		received, _ := b.receive(t.batch[n:min(len(t.batch), n+wire.CopyBytes)]) // the error is that of the body
		n += received
	}
	t.rest = t.batch[:n]
	b.place.Busy(true) // the client waits from here on
	if err := b.failed(); err != nil {
		return err
	}
	take := t.place.Grow
	if t.begun {
		take = t.place.Await
	}
	err := take(t.ctx, 1)
	t.begun = true
	if lost := b.place.Failure(); lost != nil {
		return lost
	}
	return err
}

// close returns what the body holds. A nil body holds nothing.
func (b *body) close() {
	if b == nil {
		return
	}
	if b.held != nil {
		_ = b.held.Close()
	}
	b.place.Leave()
}

// openBody returns the request's body, limited to limit+extra bytes, or an error if it is announced to be larger.
func (r *request) openBody(limit, extra int64) (*body, error) {
	length := int64(r.rc.Request.Header.ContentLength())
	if length == -2 {
		length = 0
	}
	if length > limit+extra {
		return nil, fault.TooLarge(limit, "bytes")
	}
	announced, err := wire.ParseDigests(r.header("Content-Digest"))
	if err != nil {
		return nil, err
	}
	stream := r.rc.RequestBodyStream()
	if stream == nil {
		stream = eofReader{}
	}
	if length < 0 {
		wire.AllowBytes(r.rc.Conn(), framingMax)
	}
	r.body = &body{
		stream: stream, conn: r.rc.Conn(), setDeadline: r.rc.SetReadDeadline, length: length, limit: limit + extra,
		digests: announced,
	}
	return r.body, nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.admit != nil {
		if err := b.start(); err != nil {
			return 0, err
		}
	}
	if b.held != nil && len(p) > 0 {
		if n, _ := b.held.Read(p); n > 0 {
			return n, nil
		}
	}
	if b.turns != nil {
		return b.readInTurn(p)
	}
	return b.receive(p)
}

// receive reads what the client sends.
func (b *body) receive(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	started := time.Now()
	if err := b.setDeadline(started.Add(bodyTimeLimit(b.read) - b.waited)); err != nil {
		b.err = fault.Fail(fault.CodeShortBody, "").Because(err)
		return 0, b.err
	}
	if b.length < 0 {
		wire.AllowBytes(b.conn, int64(len(p))) // for the data: what of it is not read now is taken back below
	}
	if b.err = b.place.Failure(); b.err != nil { // behind setDeadline, which may have undone that of expire
		return 0, b.err
	}
	n, err := b.stream.Read(p)
	if b.length < 0 {
		wire.AllowBytes(b.conn, int64(framingFactor*n-(len(p)-n)))
	}
	b.waited += time.Since(started)
	b.read += int64(n)
	b.digests.Write(p[:n])
	switch {
	case b.read > b.limit:
		b.err = fault.TooLarge(b.limit, "bytes")
	case errors.Is(err, io.EOF) && b.length < 0 && wire.ClientEnded(b.conn):
		b.err = fault.Fail(fault.CodeShortBody, "") // the last chunk is missing, which fasthttp takes for the end
	case errors.Is(err, io.EOF) && b.read < b.length:
		b.err = fault.Fail(fault.CodeShortBody, "").With(fault.Details{"expected": b.length, "actual": b.read, "unit": "bytes"})
	case errors.Is(err, io.EOF) && !b.digests.Matched():
		b.err = fault.Fail(fault.CodeShortBody, "The body differs from its Content-Digest header. Send the file again.").
			With(fault.Details{"field": "Content-Digest"})
	case errors.Is(err, io.EOF):
		b.err = io.EOF
	case err != nil && b.place.Failure() != nil:
		b.err = b.place.Failure()
	case err != nil:
		b.err = bodyFailure(err)
	}
	if b.err != nil {
		wire.AllowAll(b.conn)
	}
	return n, b.err
}

// bodyTimeLimit returns how long reading so many bytes may take, without overflow for any number of bytes.
func bodyTimeLimit(read int64) time.Duration {
	const second, longest = int64(time.Second), int64(math.MaxInt64) / 2
	whole, rest := read/bodyRateMin, read%bodyRateMin
	if whole >= (longest-int64(bodyGrace))/second {
		return time.Duration(longest)
	}
	return bodyGrace + time.Duration(whole*second+rest*second/bodyRateMin)
}

// failed returns the error of the body, or nil. Readers above it, such as a decompressor, may have replaced it by an error
// of their own.
func (b *body) failed() error {
	if b.err != nil && !errors.Is(b.err, io.EOF) {
		return b.err
	}
	return nil
}

// bodyFailure distinguishes a slow client, a closed connection and broken framing. It drops the text of other errors, which
// may quote the body.
func bodyFailure(err error) *fault.Failure {
	var network net.Error
	var chunk fasthttp.ErrBrokenChunk
	switch {
	case errors.As(err, &network) && network.Timeout():
		return fault.Fail(fault.CodeSlowBody, "").Because(err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network):
		return fault.Fail(fault.CodeShortBody, "").Because(err)
	case errors.As(err, &chunk):
		return fault.Fail(fault.CodeMalformedRequest, "The body is not framed correctly.").Because(errors.New("broken chunk"))
	}
	return fault.Fail(fault.CodeMalformedRequest, "The body cannot be read.").Because(errors.New("unreadable body"))
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }
