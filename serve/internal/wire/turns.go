package wire

import "io"

// Turns bounds how many goroutines transform streams at the same moment. A goroutine that waits for its source or for its
// reader lets another have its turn, so a slow client delays none of the others.
type Turns chan struct{}

// NewTurns returns n turns.
func NewTurns(n int) Turns { return make(Turns, n) }

// Take returns change as it runs in turns.
func (t Turns) Take(change func(io.Writer, io.Reader) error) func(io.Writer, io.Reader) error {
	return func(w io.Writer, source io.Reader) error {
		t <- struct{}{}
		defer func() { <-t }()
		return change(turnWriter{w, t}, turnReader{source, t})
	}
}

type turnWriter struct {
	w     io.Writer
	turns Turns
}

// Write implements io.Writer.
func (t turnWriter) Write(p []byte) (int, error) {
	<-t.turns
	defer func() { t.turns <- struct{}{} }()
	return t.w.Write(p)
}

type turnReader struct {
	r     io.Reader
	turns Turns
}

// Read implements io.Reader.
func (t turnReader) Read(p []byte) (int, error) {
	<-t.turns
	defer func() { t.turns <- struct{}{} }()
	return t.r.Read(p)
}
