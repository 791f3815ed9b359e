package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rulesFile are the alerts that are shipped.
const rulesFile = "../deploy/prometheus/rules.yaml"

// hastened is how much faster the time of the rules passes in the run: `for: 10m` is ten seconds, and the window of
// rate(…[30m]) thirty. Prometheus scrapes every second and not every fifteen, so that a window needs windowMin for as many
// samples as a short one has in reality. What a rule compares with seconds, as "time() - … > 60", stays as it is.
const (
	hastened  = 60
	windowMin = 15_000 // ms
)

var (
	alertLine    = regexp.MustCompile(`(?m)^ *- alert: (\w+)$`)
	ruleDuration = regexp.MustCompile(`(for: |interval: |\[)(\d+)([smhd])\b`)
)

// alertNames are the alerts of a file of rules, in their order.
func alertNames(rules []byte) (names []string) {
	for _, m := range alertLine.FindAllSubmatch(rules, -1) {
		names = append(names, string(m[1]))
	}
	return names
}

// hasten divides the durations of rules.
func hasten(rules []byte) []byte {
	units := map[string]int{"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
	return ruleDuration.ReplaceAllFunc(rules, func(text []byte) []byte {
		m := ruleDuration.FindSubmatch(text)
		n, _ := strconv.Atoi(string(m[2])) // the pattern has digits only
		n = n * units[string(m[3])] * 1000 / hastened
		if m[1][0] == '[' {
			n = max(n, windowMin)
		}
		return fmt.Appendf(nil, "%s%dms", m[1], n)
	})
}

// alertID is an alert, and a label of it if that matters.
type alertID struct{ name, label, value string }

// String is the alert as PromQL writes it.
func (a alertID) String() string {
	if a.label == "" {
		return a.name
	}
	return fmt.Sprintf("%s{%s=%q}", a.name, a.label, a.value)
}

// is reports whether labels are of this alert.
func (a alertID) is(labels map[string]string) bool {
	return labels["alertname"] == a.name && (a.label == "" || labels[a.label] == a.value)
}

// causedAlerts are those that the run provokes.
func causedAlerts() (list []alertID) {
	for _, stage := range stages {
		for _, p := range stage {
			list = append(list, p.alerts...)
		}
	}
	return list
}

// checkCauses compares the alerts of the rules with those that the run provokes.
func checkCauses(names []string) error {
	var missing, unknown []string
	caused := map[string]bool{}
	for _, id := range causedAlerts() {
		if caused[id.name] = true; !slices.Contains(names, id.name) {
			unknown = append(unknown, id.name)
		}
	}
	for _, name := range names {
		if !caused[name] {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) > 0:
		return fmt.Errorf("nothing provokes %s: add it to the stages in chaos/alert_stages.go", strings.Join(missing, ", "))
	case len(unknown) > 0:
		return fmt.Errorf("provoked and not in %s: %s", rulesFile, strings.Join(unknown, ", "))
	}
	return nil
}
