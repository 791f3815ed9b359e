package engine

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// snapshotRecord is a customer in a snapshot.
type snapshotRecord struct {
	hash        uint64
	row         uint32
	probability float32
	band        uint8
	value       float64   // NaN: none
	explained   bool      // whether factors is set
	factors     []float64 // contributions
	errorMax    float64   // largest error of each contribution
}

// clone returns a copy that does not share the reader's memory.
func (r snapshotRecord) clone() snapshotRecord {
	r.factors = append([]float64(nil), r.factors...)
	return r
}

// snapshotReader reads the snapshot of one part record by record.
type snapshotReader struct {
	in     *bufio.Reader
	header snapshotHeader
	left   uint32
	buf    []byte
	record snapshotRecord // current record
}

// newSnapshotReader reads the header; the error is an ErrSnapshot if that is invalid.
func newSnapshotReader(in io.Reader, bufferBytes int) (*snapshotReader, error) {
	r := &snapshotReader{in: bufio.NewReaderSize(in, bufferBytes)}
	var head [snapshotHeaderBytes]byte
	if err := r.fill(head[:]); err != nil {
		return nil, err
	}
	if err := r.header.read(head[:]); err != nil {
		return nil, err
	}
	r.left = r.header.records
	r.buf = make([]byte, r.header.width())
	r.record = snapshotRecord{value: math.NaN(), factors: make([]float64, r.header.factors)}
	return r, nil
}

func (r *snapshotReader) fill(b []byte) error {
	_, err := io.ReadFull(r.in, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", ErrSnapshot)
	}
	return err
}

// next reads the next record; ok is false at the end.
func (r *snapshotReader) next() (ok bool, err error) {
	if r.left == 0 {
		return false, nil
	}
	r.left--
	if err := r.fill(r.buf); err != nil {
		return false, err
	}
	b, last := r.buf, r.record.hash
	r.record.hash, r.record.row = binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
	r.record.probability, r.record.band = math.Float32frombits(binary.BigEndian.Uint32(b[12:])), b[16]
	b = b[17:]
	if r.header.flags&snapshotValues != 0 {
		r.record.value = math.Float64frombits(binary.BigEndian.Uint64(b))
		b = b[8:]
	}
	if r.header.flags&snapshotFactors != 0 {
		scale := float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
		r.record.explained, r.record.errorMax = !math.IsNaN(scale), scale/2
		for i, q := range b[4:] {
			r.record.factors[i] = scale * float64(int8(q))
		}
	}
	if r.record.hash < last || !(r.record.probability >= 0 && r.record.probability <= 1) {
		return false, fmt.Errorf("%w: a record that cannot be", ErrSnapshot)
	}
	return true, nil
}

// snapshotMerge merges the snapshots of an upload's parts in the order of hashes. It is a heap of readers.
type snapshotMerge struct {
	parts     []*snapshotReader // readers with a current record, the least first
	rows      ChangeRows
	sameModel bool
	keys      []uint64        // of the parts
	current   *snapshotReader // reader whose record next returned last
}

// mergeSnapshots opens the snapshots of the parts of one upload. It reads every header and first record.
func mergeSnapshots(parts []io.Reader, b *Bundle, bufferBytes int) (*snapshotMerge, error) {
	m := &snapshotMerge{sameModel: true}
	for _, part := range parts {
		r, err := newSnapshotReader(part, bufferBytes)
		if err != nil {
			return nil, err
		}
		m.keys = append(m.keys, r.header.key)
		m.sameModel = m.sameModel && r.header.model == b.sha256
		m.rows.Rows += int64(r.header.records) + int64(r.header.withoutID) + int64(r.header.repeated)
		m.rows.WithoutID += int64(r.header.withoutID)
		m.rows.Repeated += int64(r.header.repeated)
		ok, err := r.next()
		if err != nil {
			return nil, err
		}
		if ok {
			m.parts = append(m.parts, r)
		}
	}
	heap.Init(m)
	return m, nil
}

// next returns the next customer, valid until the next call; nil at the end. Of a customer in several parts the first
// row is returned.
func (m *snapshotMerge) next() (*snapshotRecord, error) {
	for {
		again := m.current != nil
		var last uint64
		if again {
			last = m.current.record.hash
			if err := m.advance(); err != nil {
				return nil, err
			}
		}
		if len(m.parts) == 0 {
			m.current = nil
			return nil, nil
		}
		m.current = m.parts[0]
		if again && m.current.record.hash == last {
			m.rows.Repeated++
			continue
		}
		m.rows.Customers++
		return &m.current.record, nil
	}
}

// advance moves the first reader to its next record.
func (m *snapshotMerge) advance() error {
	ok, err := m.parts[0].next()
	if err != nil {
		return err
	}
	if ok {
		heap.Fix(m, 0)
	} else {
		heap.Pop(m)
	}
	return nil
}

// Len, Less, Swap, Push and Pop implement [heap.Interface].
func (m *snapshotMerge) Len() int { return len(m.parts) }

func (m *snapshotMerge) Less(i, j int) bool {
	a, b := &m.parts[i].record, &m.parts[j].record
	return a.hash < b.hash || a.hash == b.hash && a.row < b.row
}

func (m *snapshotMerge) Swap(i, j int) { m.parts[i], m.parts[j] = m.parts[j], m.parts[i] }

func (m *snapshotMerge) Push(x any) { m.parts = append(m.parts, x.(*snapshotReader)) }

func (m *snapshotMerge) Pop() any {
	last := m.parts[len(m.parts)-1]
	m.parts = m.parts[:len(m.parts)-1]
	return last
}
