package engine

import (
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// duplicateIDsMax bounds the memory for customer ids: 32 MiB at 2 million. Ids beyond it are not compared.
const duplicateIDsMax = 2 << 20

// idSet detects repeated customer ids by a 64-bit hash: among 2 million ids the chance of a false duplicate is 1 in 9
// million. It is an open-addressed table; 0 marks a free slot.
type idSet struct {
	table []uint64
	n     int
}

// add inserts the hashes of a chunk's ids and returns how many of them were present before.
func (s *idSet) add(hashes []uint64) (seen int64) {
	for _, h := range hashes {
		if s.n >= duplicateIDsMax {
			return seen
		}
		if 2*(s.n+1) > len(s.table) {
			s.grow()
		}
		if !s.insert(h) {
			seen++
		}
	}
	return seen
}

func (s *idSet) insert(h uint64) bool {
	mask := uint64(len(s.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.table[i] {
		case h:
			return false
		case 0:
			s.table[i] = h
			s.n++
			return true
		}
	}
}

func (s *idSet) grow() {
	old := s.table
	s.table, s.n = make([]uint64, max(1024, 2*len(old))), 0
	for _, h := range old {
		if h != 0 {
			s.insert(h)
		}
	}
}

// appendIDHashes appends the hash of every id of a batch; rows without an id are skipped. A negative idColumn appends
// nothing.
func appendIDHashes(dst []uint64, batch arrow.Record, idColumn int) []uint64 {
	if idColumn < 0 {
		return dst
	}
	ids := batch.Column(firstSchemaColumn + idColumn).(*array.String)
	for i := range ids.Len() {
		if id := ids.Value(i); id != "" && !ids.IsNull(i) {
			dst = append(dst, hashID(id))
		}
	}
	return dst
}

// hashID is FNV-1a with a finishing mix. It never returns 0.
func hashID(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	h ^= h >> 32
	h *= 0x9E3779B97F4A7C15
	return (h ^ h>>29) | 1<<63
}

// CountDuplicateIDs counts the rows of an upload whose customer has an earlier row, over the snapshots of all its
// parts. It buffers bufferBytes of each. ok is false if the parts were hashed with different keys and cannot be
// compared. Damaged snapshots are an [ErrSnapshot].
func (b *Bundle) CountDuplicateIDs(parts []io.Reader, bufferBytes int) (rows int64, ok bool, err error) {
	m, err := mergeSnapshots(parts, b, bufferBytes)
	for err == nil {
		var r *snapshotRecord
		if r, err = m.next(); r == nil {
			break
		}
	}
	if err != nil {
		return 0, false, fmt.Errorf("count repeated customers: %w", err)
	}
	return m.rows.Repeated, len(slices.Compact(m.keys)) <= 1, nil
}

// SetDuplicateIDs replaces the sum of the duplicates that the parts counted separately.
func (t *Tally) SetDuplicateIDs(rows int64, b *Bundle) {
	code := ingest.DuplicateIDScored.Code()
	t.Warnings = slices.DeleteFunc(t.Warnings, func(w ReasonCount) bool { return w.Code == code })
	t.addDuplicateIDs(rows, b)
}
