package inventory

import "time"

const (
	firstRetry  = 10 * time.Minute
	mostRetries = 20
	// patience is after how many failures in a row a registry is read less
	// often than planned, and longestRetry how seldom it may get by that.
	patience     = 5
	longestRetry = 6 * time.Hour
)

// retryIn is how long a registry waits that could not be read for a number of
// times in a row: ten minutes, twice as long each time, up to the interval;
// from the fifth time on the interval itself is doubled each time, up to six
// hours.
func retryIn(failures int, interval time.Duration) time.Duration {
	longest := interval
	for i := patience; i <= min(failures, mostRetries) && longest < longestRetry; i++ {
		longest = min(longest*2, longestRetry)
	}
	wait := firstRetry
	for i := 1; i < failures && wait < longest; i++ {
		wait *= 2
	}
	return min(wait, longest)
}
