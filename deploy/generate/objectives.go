package main

import (
	"fmt"
	"strings"
)

// objective is a service level: which share of events must be good. In the queries WINDOW stands for a time.
type objective struct {
	name   string
	what   string
	target float64 // share of good events
	good   string  // rate of good events
	all    string  // rate of all events
	least  int     // fewest events for an alert
}

// userRoutes selects the routes of the API that users call, without probes.
const userRoutes = `route!~"none|options|/health|/ready"`

// control are the routes that answer at once: no file goes in or out, no stream is kept open.
const control = `route!~"none|options|/health|/ready|/upload|/score|/validate|/outcomes|.*/(download|rejects|events)"`

// queries are the routes that read stored predictions.
const queries = `route=~"/predictions|/predictions/[{]id[}](/rows)?"`

var objectives = []objective{
	{
		name: "availability", what: "requests are not answered with 5xx", target: 0.999, least: 50,
		good: `sum(rate(millrace_http_requests_total{` + userRoutes + `,status!~"5.."}[WINDOW]))`,
		all:  `sum(rate(millrace_http_requests_total{` + userRoutes + `}[WINDOW]))`,
	},
	within("control-latency", "control routes answer within 100 ms", 0.95, 50,
		"millrace_http_request_duration_seconds", control, control, "0.1"),
	within("query-latency", "queries answer within 50 ms", 0.95, 50,
		"millrace_http_request_duration_seconds", queries, queries, "0.05"),
	within("freshness-10k", "files of up to 10,000 rows are done within 2 s", 0.99, 5,
		"millrace_prediction_duration_seconds", `size_class="10k",result="completed"`,
		`size_class="10k",result!="cancelled"`, "2"),
	within("freshness-100k", "files of up to 100,000 rows are done within 10 s", 0.99, 5,
		"millrace_prediction_duration_seconds", `size_class="100k",result="completed"`,
		`size_class="100k",result!="cancelled"`, "10"),
}

// within is an objective on a histogram that has a classic edge at the limit. Prometheus 3 writes an edge of 2 as 2.0.
func within(name, what string, target float64, least int, histogram, good, all, limit string) objective {
	if !strings.Contains(limit, ".") {
		limit += "([.]0)?"
	}
	return objective{
		name: name, what: what, target: target, least: least,
		good: fmt.Sprintf(`sum(rate(%s_bucket{%s,le=~"%s"}[WINDOW]))`, histogram, good, limit),
		all:  fmt.Sprintf(`sum(rate(%s_count{%s}[WINDOW]))`, histogram, all),
	}
}

func (o objective) budget() float64 { return 1 - o.target }

// errors is the share of bad events in a window; no value without events.
func (o objective) errors(window string) string {
	return strings.ReplaceAll(fmt.Sprintf("1 - (%s or vector(0)) / %s", o.good, o.all), "WINDOW", window)
}

// events is how many there were in a window.
func (o objective) events(window string) string {
	all := strings.ReplaceAll(o.all, "WINDOW", window)
	return strings.Replace(all, "rate(", "increase(", 1)
}
