package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestSpool(t *testing.T) {
	free := &SpoolBlocks{}
	for _, size := range []int{0, 1, spoolBlockBytes - 1, spoolBlockBytes, spoolBlockBytes + 1, 3*spoolBlockBytes + 7} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 7)
		}
		fill := func() *Spool {
			s := &Spool{Blocks: free}
			for rest := want; len(rest) > 0; {
				n := min(len(rest), 100_003)
				if _, err := s.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			return s
		}
		if s := fill(); s.Size != int64(size) || s.text() != string(want) || s.text() != string(want) {
			t.Errorf("%d: other text", size)
		}
		if err := iotest.TestReader(fill(), want); err != nil && size > 0 {
			t.Errorf("%d: %v", size, err)
		}
		var got bytes.Buffer
		if n, err := fill().WriteTo(&got); n != int64(size) || err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d: wrote %d, %v", size, n, err)
		}
		if n, err := fill().WriteTo(&failingWriter{}); size > 0 && (err == nil || n != 0) {
			t.Errorf("%d: wrote %d, %v", size, n, err)
		}
		s := fill()
		if _, err := io.ReadFull(s, make([]byte, size/2)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil || len(s.blocks) != 0 {
			t.Errorf("%d: %d blocks stay", size, len(s.blocks))
		}
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("no") }
