package engine

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// ChangeStatus is the outcome of a comparison of two uploads, or the reason why there is none.
type ChangeStatus string

// The statuses as published.
const (
	ChangesCompared     ChangeStatus = "compared"
	ChangesModelChanged ChangeStatus = "model_changed"        // scored by another model: only new and gone customers are known
	ChangesFirstUpload  ChangeStatus = "first_upload"         // no earlier upload
	ChangesUnavailable  ChangeStatus = "previous_unavailable" // the earlier upload's snapshot is gone or has another hash key
	ChangesTooLarge     ChangeStatus = "too_large"
	ChangesNoIDs        ChangeStatus = "no_ids" // one of the uploads has no customer ids
)

// Changes compares the customers of an upload with those of the one before. Fields that are not known are nil.
type Changes struct {
	Status    ChangeStatus    `json:"status"`
	Previous  *PreviousUpload `json:"previous"` // null for the first upload
	Before    *ChangeRows     `json:"before,omitempty"`
	After     *ChangeRows     `json:"after,omitempty"`
	Customers *CustomerChange `json:"customers,omitempty"`
	// Expected is the change of the expected churners, Loss of the expected loss; Loss is nil if no customer has a
	// value.
	Expected *SumChange `json:"expected_churners,omitempty"`
	Loss     *SumChange `json:"expected_loss,omitempty"`
	// Risen and Fallen are the customers with the largest changes of probability, the largest first.
	Risen  []RiskChange `json:"risen,omitempty"`
	Fallen []RiskChange `json:"fallen,omitempty"`
	// Explained is the number of customers who were explained in both uploads; Factors are their mean changes of
	// contribution, the largest first.
	Explained int64          `json:"explained,omitempty"`
	Factors   []FactorChange `json:"factors,omitempty"`
}

// PreviousUpload identifies the upload that was compared with.
type PreviousUpload struct {
	PredictionID string `json:"prediction_id,omitempty"`
	Filename     string `json:"filename"`
	CreatedAt    string `json:"created_at,omitempty"`
	ModelVersion string `json:"model_version,omitempty"`
}

// ChangeRows counts the scored rows of an upload and the distinct customers in them.
type ChangeRows struct {
	Rows      int64 `json:"rows"`
	Customers int64 `json:"customers,omitempty"`
	WithoutID int64 `json:"without_id,omitempty"` // rows without a customer id, which are not compared
	Repeated  int64 `json:"repeated,omitempty"`   // rows of a customer who has an earlier row, which counts
}

// CustomerChange counts customers. The moves between bands are nil if the model changed, as bands of two models do not
// compare.
type CustomerChange struct {
	New       int64  `json:"new"`
	Gone      int64  `json:"gone"`
	Stayed    int64  `json:"stayed"`
	MovedUp   *int64 `json:"moved_up,omitempty"` // into a higher risk band
	MovedDown *int64 `json:"moved_down,omitempty"`
	Unchanged *int64 `json:"unchanged,omitempty"` // in the same band
}

// SumChange splits the change of a sum over customers by its cause: After = Before + New + Gone + Stayed.
type SumChange struct {
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	New    float64 `json:"new"`
	Gone   float64 `json:"gone"`   // 0 or below for churners
	Stayed float64 `json:"stayed"` // change of the customers in both uploads
}

// RiskChange is a customer whose probability changed.
type RiskChange struct {
	Row         int64          `json:"row"` // row number in the later upload
	ID          string         `json:"id,omitempty"`
	Before      float32        `json:"before"`
	After       float32        `json:"after"`
	BandBefore  string         `json:"band_before"`
	BandAfter   string         `json:"band_after"`
	Factors     []FactorChange `json:"factors,omitempty"` // nil unless the customer was explained in both uploads
	Explanation string         `json:"explanation"`
}

// FactorChange is the change of a factor's contribution, in margin units; above 0 it raises the risk.
type FactorChange struct {
	Label   string   `json:"label"`
	Columns []string `json:"columns"`
	Change  float64  `json:"change"`

	spoken string // label in a sentence
}

// Compare compares two uploads, each given as the snapshots of its parts; b must be the bundle that scored the parts of
// after. It reads every snapshot once and buffers bufferBytes of each. Snapshots hold no ids: the caller fills in
// [RiskChange.ID] with [Snapshot.SetIDs]. Damaged snapshots are an [ErrSnapshot].
func (b *Bundle) Compare(before, after []io.Reader, bufferBytes int) (Changes, error) {
	old, err := mergeSnapshots(before, b, bufferBytes)
	if err != nil {
		return Changes{}, fmt.Errorf("snapshot before: %w", err)
	}
	now, err := mergeSnapshots(after, b, bufferBytes)
	if err != nil {
		return Changes{}, fmt.Errorf("snapshot after: %w", err)
	}
	if keys := slices.Compact(slices.Concat(old.keys, now.keys)); len(keys) != 1 {
		return Changes{Status: ChangesUnavailable}, nil
	}
	c := newComparison(b)
	if err := join(old, now, c.visit); err != nil {
		return Changes{}, err
	}
	return c.changes(old, now), nil
}

// join visits the customers of both uploads in the order of their hashes; nil stands for a customer missing in one.
func join(old, now *snapshotMerge, visit func(before, after *snapshotRecord)) error {
	a, err := old.next()
	if err != nil {
		return err
	}
	b, err := now.next()
	for err == nil && (a != nil || b != nil) {
		switch {
		case b == nil || a != nil && a.hash < b.hash:
			visit(a, nil)
			a, err = old.next()
		case a == nil || b.hash < a.hash:
			visit(nil, b)
			b, err = now.next()
		default:
			visit(a, b)
			if a, err = old.next(); err == nil {
				b, err = now.next()
			}
		}
	}
	return err
}

// comparison accumulates what join visits.
type comparison struct {
	bundle         *Bundle
	counts         CustomerChange
	up, down, same int64
	expected, loss SumChange
	hasValue       bool // a customer has a value
	explained      int64
	factorSums     []float64 // sum of the changes of contribution, by factor
	risen, fallen  []recordPair
}

func newComparison(b *Bundle) *comparison {
	c := &comparison{bundle: b}
	if b.explainer != nil {
		c.factorSums = make([]float64, len(b.explainer.book.groups))
	}
	return c
}

func (c *comparison) visit(before, after *snapshotRecord) {
	switch {
	case before == nil:
		c.counts.New++
		c.expected.New += float64(after.probability)
		c.loss.New += c.lossOf(after)
	case after == nil:
		c.counts.Gone++
		c.expected.Gone -= float64(before.probability)
		c.loss.Gone -= c.lossOf(before)
	default:
		c.addStayed(before, after)
	}
	if before != nil {
		c.expected.Before += float64(before.probability)
		c.loss.Before += c.lossOf(before)
	}
	if after != nil {
		c.expected.After += float64(after.probability)
		c.loss.After += c.lossOf(after)
	}
}

// lossOf returns a customer's expected loss, 0 without a value.
func (c *comparison) lossOf(r *snapshotRecord) float64 {
	if math.IsNaN(r.value) {
		return 0
	}
	c.hasValue = true
	return float64(float64(r.probability) * r.value)
}

// addStayed counts a customer who is in both uploads.
func (c *comparison) addStayed(before, after *snapshotRecord) {
	c.counts.Stayed++
	c.expected.Stayed += float64(after.probability) - float64(before.probability)
	c.loss.Stayed += c.lossOf(after) - c.lossOf(before)
	switch {
	case after.band > before.band:
		c.up++
	case after.band < before.band:
		c.down++
	default:
		c.same++
	}
	if bothExplained(before, after) && len(after.factors) == len(c.factorSums) {
		c.explained++
		for i := range c.factorSums {
			c.factorSums[i] += after.factors[i] - before.factors[i]
		}
	}
	switch {
	case after.probability > before.probability:
		c.risen = insertLargest(c.risen, before, after)
	case after.probability < before.probability:
		c.fallen = insertLargest(c.fallen, before, after)
	}
}

// changes returns the result after join.
func (c *comparison) changes(old, now *snapshotMerge) Changes {
	result := Changes{Status: ChangesCompared, Before: &old.rows, After: &now.rows, Customers: &c.counts}
	switch {
	case old.rows.Customers == 0 || now.rows.Customers == 0:
		result.Status, result.Customers = ChangesNoIDs, nil
		return result
	case !old.sameModel || !now.sameModel:
		result.Status = ChangesModelChanged
		return result
	}
	c.counts.MovedUp, c.counts.MovedDown, c.counts.Unchanged = &c.up, &c.down, &c.same
	result.Expected = c.expected.rounded()
	if c.hasValue {
		result.Loss = c.loss.rounded()
	}
	for _, m := range c.risen {
		result.Risen = append(result.Risen, c.bundle.riskChange(&m))
	}
	for _, m := range c.fallen {
		result.Fallen = append(result.Fallen, c.bundle.riskChange(&m))
	}
	result.Explained, result.Factors = c.explained, c.factors()
	return result
}

func (s SumChange) rounded() *SumChange {
	return &SumChange{
		roundFigure(s.Before), roundFigure(s.After), roundFigure(s.New), roundFigure(s.Gone), roundFigure(s.Stayed),
	}
}

// factors returns the mean change of each factor that is not sensitive, the largest first.
func (c *comparison) factors() []FactorChange {
	if c.explained == 0 {
		return nil
	}
	var list []FactorChange
	for i, d := range c.bundle.explainer.book.newDriverTallies() {
		if !d.Sensitive {
			list = append(list, FactorChange{Label: d.Label, Columns: d.Columns, Change: roundFigure(c.factorSums[i] / float64(c.explained))})
		}
	}
	return strongestFirst(list)
}
