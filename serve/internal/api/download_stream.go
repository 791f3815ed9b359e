package api

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/wire"
)

// outStream is the body of an answer. Every read extends the write deadline by streamIdleTimeout.
type outStream struct {
	source  io.ReadCloser
	cancel  context.CancelFunc
	conn    net.Conn
	buffers *copyBuffers
}

// copyBuffers pool buffers for copying. The zero value is ready to use.
type copyBuffers struct{ pool sync.Pool }

func (c *copyBuffers) take() *[wire.CopyBytes]byte {
	if b, ok := c.pool.Get().(*[wire.CopyBytes]byte); ok {
		return b
	}
	return new([wire.CopyBytes]byte)
}

// WriteTo implements io.WriterTo with a larger buffer than the HTTP server's.
func (o *outStream) WriteTo(w io.Writer) (int64, error) {
	buffer := o.buffers.take()
	defer o.buffers.pool.Put(buffer)
	return io.CopyBuffer(onlyWriter{w}, onlyReader{o}, buffer[:])
}

// onlyReader and onlyWriter hide WriteTo and ReadFrom, which would bypass the buffer.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// Read implements io.Reader. It recovers panics: the HTTP server calls it on a goroutine where one would end the process.
func (o *outStream) Read(p []byte) (n int, err error) {
	if err := o.conn.SetWriteDeadline(time.Now().Add(streamIdleTimeout)); err != nil {
		return 0, err
	}
	err = fault.Recover(func() (err error) {
		n, err = o.source.Read(p)
		return err
	})
	return n, err
}

// Close implements io.Closer.
func (o *outStream) Close() error {
	o.cancel()
	return fault.Recover(o.source.Close)
}

// convert converts and compresses the object while it is read.
func (d *delivery) convert(ctx context.Context, object io.ReadCloser) io.ReadCloser {
	if d.format != wire.FormatCSV {
		object = piped(ctx, object, d.packing.Take(func(w io.Writer, source io.Reader) error {
			return wire.StoredTable{Text: source, Own: d.own, Guarded: d.guarded}.Convert(w, d.format)
		}))
	}
	if d.coding != "" {
		object = piped(ctx, object, d.packing.Take(func(w io.Writer, source io.Reader) error {
			return d.compressors.Compress(w, source, d.coding)
		}))
	}
	return object
}

// piped converts a stream while it is read, in a goroutine that ends with the stream, with ctx, or when the reader is
// closed. The goroutine closes source. A panic in it breaks this stream only.
func piped(ctx context.Context, source io.ReadCloser, change func(io.Writer, io.Reader) error) io.ReadCloser {
	r, w := io.Pipe()
	p := &pipedStream{PipeReader: r, ended: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	go func() {
		defer close(p.ended)
		defer func() { _ = source.Close() }()
		defer stop()
		_ = w.CloseWithError(fault.Recover(func() error { return change(w, source) }))
	}()
	return p
}

// pipedStream is the output of piped.
type pipedStream struct {
	*io.PipeReader
	ended chan struct{} // closed when the goroutine has ended
}

// Close ends the goroutine and waits for it. A blocked Read of its source must have been cancelled before.
func (p *pipedStream) Close() error {
	err := p.PipeReader.Close()
	<-p.ended
	return err
}
