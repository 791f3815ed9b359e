package api

import (
	"errors"
	"io"
	"math"
	"net"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
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
	err         error
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
