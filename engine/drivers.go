package engine

import (
	"cmp"
	"slices"
)

// DriverTally is the sum of a factor's absolute contributions over the explained rows.
type DriverTally struct {
	Label     string   `json:"label"`
	Columns   []string `json:"columns"`
	Sensitive bool     `json:"sensitive,omitempty"` // counted but never shown
	Sum       float64  `json:"sum"`                 // of |contribution|, in margin units
}

// newDriverTallies returns one empty entry per factor: a group of features or a single one.
func (b *Phrasebook) newDriverTallies() []DriverTally {
	list := make([]DriverTally, len(b.groups))
	for i, g := range b.groups {
		list[i].Sensitive = g.sensitive
		for _, m := range g.members {
			f := &b.texts[m]
			list[i].Columns = append(list[i].Columns, f.Name)
			list[i].Label = f.label()
			if len(g.members) > 1 {
				list[i].Label = f.Group
			}
		}
	}
	return list
}

// label returns the display name of the feature.
func (f FeatureText) label() string { return cmp.Or(f.Label, f.Name) }

// spoken returns the name of the feature in a sentence. A column's name stands as it is: no other spelling of it exists.
func (f FeatureText) spoken() string {
	if f.Label == "" {
		return f.Name
	}
	return lowerFirst(f.Label)
}

// spoken returns the name of factor i in a sentence.
func (b *Phrasebook) spoken(i int) string {
	f := &b.texts[b.groups[i].members[0]]
	if len(b.groups[i].members) > 1 {
		return lowerFirst(f.Group)
	}
	return f.spoken()
}

// countDrivers copies into t the sums of the rows that the narrator has read of the current batch.
func (x *explainWorker) countDrivers(t *Tally) {
	if t.Drivers == nil {
		t.Drivers = x.narrator.book.newDriverTallies()
	}
	for i, sum := range x.narrator.absSums {
		t.Drivers[i].Sum = sum
	}
	t.Explained = x.narrator.rowsRead
}

// addDrivers adds the sums of o. The first tally with explanations brings the list.
func (t *Tally) addDrivers(o *Tally) {
	if t.Drivers == nil {
		t.Drivers = slices.Clone(o.Drivers)
	} else {
		for i := range o.Drivers {
			t.Drivers[i].Sum += o.Drivers[i].Sum
		}
	}
	t.Explained += o.Explained
}

// Driver is a factor and its mean effect on the scores of an upload.
type Driver struct {
	Label   string   `json:"label"`
	Columns []string `json:"columns"`
	Mean    float64  `json:"mean_contribution"` // mean of |contribution| over the explained rows, in margin units
	Share   float64  `json:"share"`             // of the total over all factors, including sensitive ones
}

// drivers returns the factors that are not sensitive, the strongest first; nil without explanations.
func (t *Tally) drivers() []Driver {
	if t.Explained == 0 {
		return nil
	}
	total := 0.0
	for _, d := range t.Drivers {
		total += d.Sum
	}
	var list []Driver
	for _, d := range t.Drivers {
		if !d.Sensitive {
			mean := roundFigure(d.Sum / float64(t.Explained))
			list = append(list, Driver{d.Label, d.Columns, mean, ratio(d.Sum, total)})
		}
	}
	slices.SortStableFunc(list, func(a, b Driver) int { return cmp.Compare(b.Mean, a.Mean) })
	return list
}
