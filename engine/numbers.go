package engine

import "github.com/retainwise/millrace/ingest"

// DecideNumbers finds out how the numbers of the file are written, as far as stated leaves that open, and sets Numbers.
// Body must begin behind the header; it is replaced by one that begins there too. The error is that of
// [ingest.Mapping.DecideNumbers] or of [ingest.Map].
func (in *Input) DecideNumbers(b *Bundle, stated ingest.NumberStyle) error {
	m, err := ingest.Map(b.Schema(), in.Header)
	if err != nil {
		return err
	}
	sample, body, err := ingest.ReadSample(in.Body)
	if err != nil {
		return err
	}
	in.Body, in.sample = body, sample
	in.Numbers, err = m.DecideNumbers(sample, stated)
	return err
}

// CheckNumbers returns an [*ingest.NumberStyleError] if more than one row in a hundred, and more than one at all, has a
// number in another style than its file. t must be the tally of a whole file.
func (t *Tally) CheckNumbers() error {
	const most = 1 // in a hundred
	n := int64(0)
	for _, r := range t.Rejects {
		if r.Code == ingest.AgainstStyle.Code() {
			n += r.Count
		}
	}
	if n > 1 && 100*n > most*t.Rows {
		return &ingest.NumberStyleError{Rows: n, Of: t.Rows}
	}
	return nil
}

// numberStyle is how the file writes numbers, if that was of importance: numbers were read that are no plain decimals.
func (t *Tally) numberStyle() string {
	for _, w := range t.Warnings {
		if w.Code == ingest.WrittenNumber.Code() {
			return t.Numbers.String()
		}
	}
	return ""
}
