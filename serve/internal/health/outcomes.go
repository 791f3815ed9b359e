package health

import (
	"cmp"
	"math"
	"slices"

	"github.com/retainwise/millrace/store/counts"
)

// Places of the sums of a month's outcomes. Behind them are, for each bin of the probability, its customers, those who
// left, and the sum of their probabilities.
const (
	atCustomers = iota // compared
	atLeft             // of these, who left
	atLate             // not compared: scored after the day of their outcome
	atMean             // sum of the probabilities, fixed
	atSquares          // sum of (p - y)², fixed
	atWon              // twice the pairs of one who left and one who stayed in the right order, ties counting half
	atPairs            // all such pairs
	atTop              // customers in the top tenth
	atTopLeft          // of these, who left, fixed: of equal probabilities at the border their share
	ofOutcomes
)

// calibrationBins are as in the report of POST /outcomes: bin i has probabilities in (i/10, (i+1)/10], the first also 0.
const (
	calibrationBins = 10
	ofBin           = 3
	outcomesSize    = ofOutcomes + calibrationBins*ofBin
)

// topShare is 1 in so many customers, the top of the list.
const topShare = 10

// Sum returns the sums of a month's customers. It sorts scored in place and drops the late ones.
//
// Pairs are counted within a month, dataset and user: those are what is ranked together. The AUC of several is that of
// the pairs within each (a stratified concordance), of one the area under the ROC curve.
func Sum(scored []counts.Scored) []int64 {
	sum := make([]int64, outcomesSize)
	late := len(scored)
	scored = slices.DeleteFunc(scored, func(s counts.Scored) bool { return s.Late })
	sum[atLate] = int64(late - len(scored))
	slices.SortFunc(scored, func(a, b counts.Scored) int { return cmp.Compare(b.Probability, a.Probability) })
	sum[atCustomers], sum[atTop] = int64(len(scored)), int64(len(scored)+topShare-1)/topShare
	var stayed int64
	for len(scored) > 0 {
		equal := 1
		for equal < len(scored) && scored[equal].Probability == scored[0].Probability {
			equal++
		}
		left := addEqual(sum, scored[:equal])
		here := int64(equal) - left
		sum[atWon] += here * (2*sum[atLeft] + left)
		if room := sum[atTop] - sum[atLeft] - stayed; room > 0 {
			sum[atTopLeft] += topLeft(left, min(room, int64(equal)), int64(equal))
		}
		sum[atLeft], stayed = sum[atLeft]+left, stayed+here
		scored = scored[equal:]
	}
	sum[atPairs] = sum[atLeft] * stayed
	return sum
}

// topLeft returns how many of taken customers left if left of all did, fixed.
func topLeft(left, taken, all int64) int64 {
	return fixed(float64(left) * (float64(taken) / float64(all)))
}

// addEqual adds customers of the same probability to what is a sum over customers, and returns how many left.
func addEqual(sum []int64, equal []counts.Scored) (left int64) {
	for _, s := range equal {
		if s.Churned {
			left++
		}
	}
	p := float64(equal[0].Probability)
	n := int64(len(equal))
	mean := n * fixed(p)
	sum[atMean] += mean
	sum[atSquares] += (n-left)*fixed(float64(p*p)) + left*fixed(float64((1-p)*(1-p)))
	bin := sum[ofOutcomes+ofBin*calibrationBin(p):]
	bin[0], bin[1], bin[2] = bin[0]+n, bin[1]+left, bin[2]+mean
	return left
}

func calibrationBin(p float64) int {
	for i := range calibrationBins - 1 {
		if p <= float64(i+1)/calibrationBins {
			return i
		}
	}
	return calibrationBins - 1
}

// Outcomes compares predictions with what became of their customers. A figure is nil if too few customers are known.
type Outcomes struct {
	Customers int64    `json:"customers"` // whose outcome is known and who were scored before
	Left      int64    `json:"churned"`
	Share     *float64 `json:"known_share"`         // of the scored rows of the month, nil if they are not known
	Late      int64    `json:"scored_after"`        // customers scored after the day of their outcome, in no figure
	BeingMade bool     `json:"being_made"`          // sums are made anew after a deletion
	AUC       *float64 `json:"auc"`                 // area under the ROC curve, ties counting half
	Mean      *float64 `json:"mean_probability"`    // predicted
	Rate      *float64 `json:"actual_rate"`         // observed
	Brier     *float64 `json:"brier"`               // mean of (p - y)²
	Error     *float64 `json:"calibration_error"`   // expected calibration error (ECE) over ten bins
	Lift      *float64 `json:"lift_of_top_tenth"`   // churn rate of the top tenth / of all
	TopSize   int64    `json:"customers_top_tenth"` // behind Lift
}

// newOutcomes derives the figures of sums.
func newOutcomes(sum []int64) Outcomes {
	n, left := sum[atCustomers], sum[atLeft]
	o := Outcomes{Customers: n, Left: left, Late: sum[atLate], TopSize: sum[atTop]}
	if n < OutcomesMin {
		return o
	}
	mean, squares := float(sum[atMean])/float64(n), float(sum[atSquares])/float64(n)
	o.Mean, o.Rate, o.Brier = &mean, share(left, n, 1), &squares
	off := 0.0
	for i := range calibrationBins {
		bin := sum[ofOutcomes+ofBin*i:]
		off += math.Abs(float(bin[2]) - float64(bin[1]))
	}
	off /= float64(n)
	o.Error = &off
	if left < EachMin || n-left < EachMin {
		return o
	}
	o.AUC = share(sum[atWon], 2*sum[atPairs], 1)
	lift := float(sum[atTopLeft]) / float64(sum[atTop]) / (float64(left) / float64(n))
	o.Lift = &lift
	return o
}
