package fault

// reserved explains why a published code is no longer returned: its number keeps its meaning and is not reused. It is
// empty for the codes in use.
func (c Code) reserved() string {
	switch c {
	case CodeRowQuotaSpent:
		return "There are no quotas of rows. Requests and what waits are bounded (ERR-1401, ERR-1403)."
	case CodeQueue:
		return "No request needs the queue: what waits is kept in the database, and workers are woken by it too. " +
			"While the queue is away, GET /ready says so."
	}
	return ""
}
