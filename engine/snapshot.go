package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"slices"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// A snapshot stores a scored part for the comparison with the next upload of the same customers: a header,
// then one record per customer, ordered by hash. Numbers are big-endian.
//
//	header   magic [8], sha256 of the bundle [32], hash of the empty id, which identifies the key (uint64), records,
//	         rows without an id, repeated rows (uint32 each), factors (uint16),
//	         flags (uint8: 1 with values, 2 with factors), 0
//	record   hash of the customer's id (uint64), row (uint32), probability (float32), band (uint8),
//	         with values: value (float64, NaN: none),
//	         with factors: scale (float32, NaN: not explained), contributions (int8 each)
//
// The contribution of a factor is scale times its int8, and the scale is the row's largest |contribution| / 127: the error
// is half a scale at most, 0.4 % of the row's strongest factor.
const (
	snapshotMagic       = "mrsnap1\n"
	snapshotHeaderBytes = len(snapshotMagic) + sha256.Size + 24
	quantaMax           = 127
)

const (
	snapshotValues  = 1 << iota // flags
	snapshotFactors             // with contributions of factors
)

// ErrSnapshot reports input that is not a snapshot, or a damaged one.
var ErrSnapshot = errors.New("not a snapshot")

// snapshotHeader describes the records that follow it.
type snapshotHeader struct {
	model                        [sha256.Size]byte
	key                          uint64
	records, withoutID, repeated uint32
	factors                      int
	flags                        uint8
}

// width returns the size of a record in bytes.
func (h *snapshotHeader) width() int {
	n := 17
	if h.flags&snapshotValues != 0 {
		n += 8
	}
	if h.flags&snapshotFactors != 0 {
		n += 4 + h.factors
	}
	return n
}

func (h *snapshotHeader) append(dst []byte) []byte {
	dst = append(append(dst, snapshotMagic...), h.model[:]...)
	dst = binary.BigEndian.AppendUint64(dst, h.key)
	dst = binary.BigEndian.AppendUint32(dst, h.records)
	dst = binary.BigEndian.AppendUint32(dst, h.withoutID)
	dst = binary.BigEndian.AppendUint32(dst, h.repeated)
	return append(binary.BigEndian.AppendUint16(dst, uint16(h.factors)), h.flags, 0)
}

func (h *snapshotHeader) read(b []byte) error {
	if len(b) != snapshotHeaderBytes || string(b[:len(snapshotMagic)]) != snapshotMagic {
		return ErrSnapshot
	}
	b = b[len(snapshotMagic):]
	b = b[copy(h.model[:], b):]
	h.key, b = binary.BigEndian.Uint64(b), b[8:]
	h.records, h.withoutID = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	h.repeated, h.factors, h.flags = binary.BigEndian.Uint32(b[8:]), int(binary.BigEndian.Uint16(b[12:])), b[14]
	if h.flags >= snapshotFactors<<1 || b[15] != 0 {
		return ErrSnapshot
	}
	return nil
}

// Snapshot collects the snapshot of a part while it is scored; see [Options.Snapshot]. Its bytes depend only on the
// hash function, the input, the bundle and which rows are explained. The zero value cannot be used: see [NewSnapshot].
// A Snapshot may be used for one score at a time.
type Snapshot struct {
	newHash NewCustomerHash
	header  snapshotHeader
	records []byte // in input order

	keepIDs bool
	ids     []byte // of the records, concatenated
	ends    []int  // end of each id in ids
}

// NewCustomerHash returns a hash function for the customer ids of one user; each worker gets its own, which is not safe
// for concurrent use. The hash must be keyed, so that a snapshot does not reveal whether it contains an id, and must be
// the same for all uploads of a user.
type NewCustomerHash func() func(id []byte) uint64

// NewSnapshot returns an empty snapshot.
func NewSnapshot(newHash NewCustomerHash) *Snapshot { return &Snapshot{newHash: newHash} }

// reset drops the records and sets the layout for a bundle. A nil snapshot collects nothing.
func (s *Snapshot) reset(b *Bundle, explain Explain) {
	if s == nil {
		return
	}
	s.header = snapshotHeader{model: b.sha256, key: s.newHash()(nil)}
	s.records, s.ids, s.ends = s.records[:0], s.ids[:0], s.ends[:0]
	if b.valueColumn >= 0 {
		s.header.flags |= snapshotValues
	}
	if explain != ExplainNone && explain != "" && b.explainer != nil {
		s.header.flags |= snapshotFactors
		s.header.factors = len(b.explainer.book.groups)
	}
}

// add appends the records of a chunk.
func (s *Snapshot) add(chunk *snapshotChunk) {
	if s == nil {
		return
	}
	s.records = append(s.records, chunk.records...)
	s.header.withoutID += chunk.withoutID
	end := len(s.ids)
	s.ids = append(s.ids, chunk.ids...)
	for _, length := range chunk.lengths {
		end += length
		s.ends = append(s.ends, end)
	}
}

// KeepIDs makes the snapshot keep the customer ids in memory, for [Snapshot.SetIDs]; its bytes do not contain them. It
// must be called before scoring.
func (s *Snapshot) KeepIDs() { s.keepIDs = true }

// SetIDs fills in the ids of changes from the rows of the snapshot, which must have kept them; see [Snapshot.KeepIDs].
func (s *Snapshot) SetIDs(moves []RiskChange) {
	width := s.header.width()
	for i := range moves {
		row := uint32(moves[i].Row)
		at := sort.Search(len(s.ends), func(at int) bool {
			return binary.BigEndian.Uint32(s.records[at*width+8:]) >= row
		})
		if at < len(s.ends) {
			first := 0
			if at > 0 {
				first = s.ends[at-1]
			}
			moves[i].ID = string(s.ids[first:s.ends[at]])
		}
	}
}

// Bytes encodes the snapshot after scoring. Of rows with the same id it keeps the first.
func (s *Snapshot) Bytes() []byte {
	width := s.header.width()
	order := s.order(width)
	h := s.header
	dst := make([]byte, snapshotHeaderBytes, snapshotHeaderBytes+len(s.records))
	last := uint64(0)
	for i, at := range order {
		record := s.records[int(at)*width : (int(at)+1)*width]
		hash := binary.BigEndian.Uint64(record)
		if i > 0 && hash == last {
			h.repeated++
			continue
		}
		dst, last = append(dst, record...), hash
		h.records++
	}
	h.append(dst[:0])
	return dst
}

// order returns the indexes of the records sorted by hash, equal hashes in input order. Hashes are uniform, so
// distributing them by their first bits leaves almost nothing to sort.
func (s *Snapshot) order(width int) []uint32 {
	n := len(s.records) / width
	hash := func(at uint32) uint64 { return binary.BigEndian.Uint64(s.records[int(at)*width:]) }
	shift := 64 - bits.Len(uint(n))
	next := make([]uint32, 1<<bits.Len(uint(n))+1)
	for at := range uint32(n) {
		next[hash(at)>>shift+1]++
	}
	for i := 1; i < len(next); i++ {
		next[i] += next[i-1]
	}
	order := make([]uint32, n)
	for at := range uint32(n) {
		bucket := hash(at) >> shift
		order[next[bucket]] = at
		next[bucket]++
	}
	for i, at := range order {
		for h := hash(at); i > 0 && hash(order[i-1]) > h; i-- {
			order[i], order[i-1] = order[i-1], at
		}
	}
	return order
}

// snapshotChunk is the records of one chunk in input order.
type snapshotChunk struct {
	records   []byte
	withoutID uint32
	ids       []byte // empty unless ids are kept
	lengths   []int
}

// snapshotWorker encodes the records of one worker's batches.
type snapshotWorker struct {
	hash    func(id []byte) uint64
	header  snapshotHeader
	keepIDs bool
	id      []byte    // scratch
	sums    []float64 // scratch: contributions of a row by factor
}

func newSnapshotWorker(s *Snapshot) *snapshotWorker {
	if s == nil {
		return nil
	}
	return &snapshotWorker{hash: s.newHash(), header: s.header, keepIDs: s.keepIDs, sums: make([]float64, s.header.factors)}
}

// append replaces dst by the records of a scored batch.
func (s *snapshotWorker) append(dst *snapshotChunk, rec arrow.Record, w *worker) {
	*dst = snapshotChunk{records: dst.records[:0], ids: dst.ids[:0], lengths: dst.lengths[:0]}
	if w.bundle.idColumn < 0 {
		dst.withoutID = uint32(rec.NumRows())
		return
	}
	ids := rec.Column(firstSchemaColumn + w.bundle.idColumn).(*array.String)
	numbers := rec.Column(0).(*array.Int64).Int64Values()
	var values []float64
	if s.header.flags&snapshotValues != 0 {
		values = rec.Column(firstSchemaColumn + w.bundle.valueColumn).(*array.Float64).Float64Values()
	}
	for i, number := range numbers {
		if ids.IsNull(i) || ids.Value(i) == "" {
			dst.withoutID++
			continue
		}
		s.id = append(s.id[:0], ids.Value(i)...)
		b := binary.BigEndian.AppendUint64(dst.records, s.hash(s.id))
		b = binary.BigEndian.AppendUint32(b, uint32(number))
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(w.probabilities[i]))
		b = append(b, uint8(w.bands[i]))
		if values != nil {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(values[i]))
		}
		if s.header.flags&snapshotFactors != 0 {
			b = s.appendFactors(b, i, w)
		}
		dst.records = b
		if s.keepIDs {
			dst.ids, dst.lengths = append(dst.ids, s.id...), append(dst.lengths, len(s.id))
		}
	}
}

// appendFactors appends the scale and the contributions of a row's factors.
func (s *snapshotWorker) appendFactors(dst []byte, row int, w *worker) []byte {
	if w.explain.wants(w.bands[row]) {
		w.explain.factorSums(s.sums, row)
		return appendQuantised(dst, s.sums)
	}
	dst = binary.BigEndian.AppendUint32(dst, notExplained)
	for range s.sums {
		dst = append(dst, 0)
	}
	return dst
}

// notExplained is the scale of a row without contributions, as the bits of a NaN.
const notExplained = 0x7fc00000

// appendQuantised appends the scale and one byte per contribution. If the scale would be subnormal, it is 0.
func appendQuantised(dst []byte, contributions []float64) []byte {
	largest := 0.0
	for _, phi := range contributions {
		largest = max(largest, math.Abs(phi))
	}
	scale, perScale := float32(largest/quantaMax), 0.0
	if scale < scaleMin {
		scale = 0
	} else {
		perScale = 1 / float64(scale)
	}
	dst = binary.BigEndian.AppendUint32(dst, math.Float32bits(scale))
	at := len(dst)
	dst = slices.Grow(dst, len(contributions))[:at+len(contributions)]
	for i, phi := range contributions {
		quanta := float64(phi*perScale) + roundToEven
		dst[at+i] = byte(int8(quanta - roundToEven))
	}
	return dst
}

const (
	scaleMin    = 0x1p-126 // the smallest normal float32
	roundToEven = 0x1.8p52 // added to and subtracted from a small number it rounds to an integer
)
