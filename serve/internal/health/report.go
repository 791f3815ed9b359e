package health

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store/counts"
)

// Report is the answer about a model: by version and month.
type Report struct {
	Model    string    `json:"model"`
	Dataset  *string   `json:"dataset"` // nil: all
	From     string    `json:"from"`    // first month
	To       string    `json:"to"`      // last month
	Complete bool      `json:"complete"`
	Floors   Floors    `json:"floors"`
	Versions []Version `json:"versions"` // the most recently used first
}

// Floors are the least rows that figures are made of.
type Floors struct {
	Rows     int `json:"rows"`
	Drift    int `json:"drift"`
	Outcomes int `json:"outcomes"`
	Each     int `json:"outcomes_each"`
}

// Version is a version of a model.
type Version struct {
	Version string  `json:"model_version"`
	SHA256  string  `json:"model_sha256"`
	Months  []Month `json:"months"` // ascending; months without uploads and outcomes are left out
}

const monthForm = "2006-01"

// Read makes the report of a query by model. Complete is false if more was uploaded than is read at once: then the
// earliest months lack uploads.
func Read(ctx context.Context, t *counts.Table, q counts.Query) (Report, error) {
	r := Report{
		Model: q.Model, Dataset: q.Dataset, From: q.From.UTC().Format(monthForm),
		To:       q.To.UTC().Add(-time.Nanosecond).Format(monthForm),
		Floors:   Floors{RowsMin, engine.DriftRowsMin, OutcomesMin, EachMin},
		Versions: []Version{},
	}
	s := sums{}
	more, err := s.read(ctx, t, q, q)
	if err != nil {
		return Report{}, err
	}
	r.Complete = !more
	profiles, err := s.profiles(ctx, t)
	if err != nil {
		return Report{}, err
	}
	for digest, v := range s {
		version := Version{Version: v.model.Version, SHA256: digest, Months: v.months(profiles[digest])}
		r.Versions = append(r.Versions, version)
	}
	slices.SortFunc(r.Versions, func(a, b Version) int {
		return cmp.Or(strings.Compare(b.last(), a.last()), strings.Compare(b.Version, a.Version),
			strings.Compare(a.SHA256, b.SHA256))
	})
	return r, nil
}

func (v *Version) last() string { return v.Months[len(v.Months)-1].Month }

// sums are the numbers of versions, by sha256 and month.
type sums map[string]*versionSums

type versionSums struct {
	model   counts.Model
	byMonth map[time.Time]*monthSums
}

type monthSums struct {
	bySize   map[int][]int64 // counts of predictions by length: another program may have laid them out differently
	outcomes []int64
	compared bool // there are outcomes
	stale    bool // of which some are being made anew
}

func (s sums) month(e *counts.Entry) *monthSums {
	v := s[e.Model.SHA256]
	if v == nil {
		v = &versionSums{model: e.Model, byMonth: map[time.Time]*monthSums{}}
		s[e.Model.SHA256] = v
	}
	m := v.byMonth[e.Month]
	if m == nil {
		m = &monthSums{bySize: map[int][]int64{}}
		v.byMonth[e.Month] = m
	}
	return m
}

// read adds the predictions of one query and the outcomes of another.
func (s sums) read(ctx context.Context, t *counts.Table, predictions, outcomes counts.Query) (more bool, err error) {
	more, err = t.Predictions(ctx, predictions, func(e counts.Entry) error {
		s.month(&e).addCounts(e.Numbers)
		return nil
	})
	if err != nil {
		return false, err
	}
	moreOutcomes, err := t.Outcomes(ctx, outcomes, func(e counts.Entry) error {
		s.month(&e).addOutcomes(e.Numbers)
		return nil
	})
	return more || moreOutcomes, err
}

func (m *monthSums) addCounts(numbers []int64) {
	size := len(numbers)
	if m.bySize[size] == nil {
		m.bySize[size] = make([]int64, size)
	}
	add(m.bySize[size], numbers)
}

func (m *monthSums) addOutcomes(numbers []int64) {
	m.compared = true
	if len(numbers) != outcomesSize {
		m.stale = true
		return
	}
	if m.outcomes == nil {
		m.outcomes = make([]int64, outcomesSize)
	}
	add(m.outcomes, numbers)
}

func (s sums) profiles(ctx context.Context, t *counts.Table) (map[string]*Profile, error) {
	digests := make([]string, 0, len(s))
	for digest := range s {
		digests = append(digests, digest)
	}
	texts, err := t.Profiles(ctx, digests)
	if err != nil {
		return nil, err
	}
	profiles := map[string]*Profile{}
	for digest, text := range texts {
		if profiles[digest], err = parseProfile(text); err != nil {
			return nil, err
		}
	}
	return profiles, nil
}

// months derives the figures of all months, ascending. p is nil if only outcomes are known.
func (v *versionSums) months(p *Profile) []Month {
	times := make([]time.Time, 0, len(v.byMonth))
	for at := range v.byMonth {
		times = append(times, at)
	}
	slices.SortFunc(times, time.Time.Compare)
	if p == nil {
		p = &Profile{}
	}
	var first baseline
	var months []Month
	for _, at := range times {
		m, numbers := v.byMonth[at].month(p, first)
		m.Month = at.Format(monthForm)
		months = append(months, m)
		if first.shares == nil && m.Scored >= engine.DriftRowsMin {
			first = baseline{sharesOf(p.scores(numbers)), m.Month}
		}
	}
	return months
}

// month derives the figures, and returns the counts that they are of.
func (m *monthSums) month(p *Profile, first baseline) (Month, []int64) {
	numbers := m.bySize[p.size()]
	if numbers == nil {
		numbers = make([]int64, p.size())
	}
	month := newMonth(p, numbers, first)
	for size, other := range m.bySize {
		if size != p.size() {
			month.Unread += other[atUploads] // the first number in every layout
		}
	}
	if month.Unread > 0 {
		month.lacks("%d uploads were counted differently by another version of the program", month.Unread)
	}
	switch {
	case m.stale:
		month.setOutcomes(nil)
	case m.compared:
		month.setOutcomes(m.outcomes)
	default:
		month.lacks("outcomes: none is known of %d scored rows", month.Scored)
	}
	return month, numbers
}

func sharesOf(rows []int64) []float64 {
	var all int64
	for _, n := range rows {
		all += n
	}
	shares := make([]float64, len(rows))
	for i, n := range rows {
		shares[i] = float64(n) / float64(all)
	}
	return shares
}

// Windows that the gauges look at.
const (
	currentDays     = 30
	currentOutcomes = 6    // months
	currentMax      = 1000 // predictions
)

// Current returns the figures of a version over all users: of the uploads of the last 30 days, at most the latest 1,000,
// and of the outcomes of customers who were scored in this month or the five before.
func Current(ctx context.Context, t *counts.Table, digest string, now time.Time) (Month, error) {
	q := counts.Query{SHA256: digest, From: now.AddDate(0, 0, -currentDays), To: now.Add(time.Hour), Limit: currentMax}
	known := q
	known.From, known.Limit = counts.MonthOf(now).AddDate(0, 1-currentOutcomes, 0), 0
	s := sums{}
	if _, err := s.read(ctx, t, q, known); err != nil {
		return Month{}, err
	}
	profiles, err := s.profiles(ctx, t)
	if err != nil {
		return Month{}, err
	}
	whole := &monthSums{bySize: map[int][]int64{}}
	for _, v := range s {
		for _, m := range v.byMonth {
			whole.add(m)
		}
	}
	p := profiles[digest]
	if p == nil {
		p = &Profile{}
	}
	month, _ := whole.month(p, baseline{})
	return month, nil
}

// add adds the sums of another month. What is being made anew there is left out.
func (m *monthSums) add(o *monthSums) {
	for _, numbers := range o.bySize {
		m.addCounts(numbers)
	}
	if o.outcomes != nil {
		m.addOutcomes(o.outcomes)
	}
}
