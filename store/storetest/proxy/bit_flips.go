package proxy

import (
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
)

// BitFlips flips single bits in objects that an S3 server sends, as a bad disk, memory or wire does; AWS' clients name the
// call that gets an object in its query. The zero value flips none. It is safe for concurrent use.
type BitFlips struct {
	oneIn atomic.Int64
	count atomic.Int64
}

// Begin flips a bit at a random place of one answer in n, until [BitFlips.End].
func (b *BitFlips) Begin(n int) { b.oneIn.Store(int64(n)) }

// End lets all further answers through as they are.
func (b *BitFlips) End() { b.oneIn.Store(0) }

// Count returns how many bits were flipped.
func (b *BitFlips) Count() int { return int(b.count.Load()) }

// Modify is the ModifyResponse of an httputil.ReverseProxy in front of the server.
func (b *BitFlips) Modify(r *http.Response) error {
	n := b.oneIn.Load()
	isObject := r.Request.Method == http.MethodGet && r.Request.URL.Query().Get("x-id") == "GetObject" &&
		r.StatusCode < http.StatusMultipleChoices
	if n > 0 && isObject && r.ContentLength > 0 && rand.Int64N(n) == 0 {
		r.Body = &flippedBody{ReadCloser: r.Body, left: rand.Int64N(r.ContentLength), flips: b}
	}
	return nil
}

// flippedBody flips a bit of one byte of a body.
type flippedBody struct {
	io.ReadCloser
	left  int64 // bytes before it
	flips *BitFlips
}

// Read implements io.Reader.
func (f *flippedBody) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if f.left >= 0 && f.left < int64(n) {
		p[f.left] ^= 1 << rand.IntN(8)
		f.flips.count.Add(1)
	}
	f.left -= int64(n)
	return n, err
}
