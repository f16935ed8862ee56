package tenure_test

import (
	"errors"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"tenure"
)

// number is a number of the environment.
func number(t *testing.T, name string, usual int64) int64 {
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	return must(strconv.ParseInt(text, 10, 64))(t)
}

// A kept object, an array of the bytes that it holds, and the value of their elements.
type kept struct {
	object any
	array  tenure.Array
	value  float64
}

// A guard has no finaliser, so its owner ends it.
func (one *kept) drop() error {
	object := one.object
	*one = kept{}
	if guard, isGuard := object.(interface{ End() error }); isGuard {
		return guard.End()
	}
	return nil
}

// Arrays, views, promises and scopes that nothing closes, under a collector that never rests: goroutines make them in random order and drop
// them. Every read finds the value that the array was filled with. At the end nothing is left. TENURE_STRESS_SEED (1) sets the draws,
// TENURE_TEST_ROUNDS (20000) the steps of each goroutine.
func TestCollection(t *testing.T) {
	seed, rounds := number(t, "TENURE_STRESS_SEED", 1), number(t, "TENURE_TEST_ROUNDS", 20000)
	t.Logf("TENURE_STRESS_SEED=%d", seed)
	before := len(leaksAfterCollection(0))
	pool := must(tenure.NewPool(tenure.PoolOptions{}))(t)
	var workers, collector sync.WaitGroup
	over := make(chan struct{})
	collector.Add(1)
	go func() {
		defer collector.Done()
		for {
			select {
			case <-over:
				return
			default:
				runtime.GC()
			}
		}
	}()
	for worker := int64(0); worker < 4; worker++ {
		random := rand.New(rand.NewSource(seed*4 + worker))
		workers.Add(1)
		go func() {
			defer workers.Done()
			if err := makeAndDrop(pool, random, rounds); err != nil {
				t.Error(err)
			}
		}()
	}
	workers.Wait()
	close(over)
	collector.Wait()
	if left := leaksAfterCollection(before + 1); len(left) > before+1 {
		t.Fatal(len(left), left[0])
	}
	stats := must(pool.Stats())(t)
	if stats.LiveBlocks != 0 || stats.Allocations < uint64(rounds) {
		t.Fatalf("%+v", stats)
	}
	ok(t, pool.Close())
}

// makeAndDrop is one goroutine's part. What stands in the way of a call is not its failure.
func makeAndDrop(pool tenure.Pool, random *rand.Rand, rounds int64) error {
	var all [48]kept
	for round := int64(0); round < rounds; round++ {
		from, to := &all[random.Intn(len(all))], &all[random.Intn(len(all))]
		made, err := step(pool, random, *from)
		switch {
		case err == nil && made.object != nil:
			if err := to.drop(); err != nil {
				return err
			}
			*to = made
		case err == nil, errors.Is(err, tenure.ErrGiven), errors.Is(err, tenure.ErrDestructed),
			errors.Is(err, tenure.ErrBorrowed), errors.Is(err, tenure.ErrBorrowedWrite):
		default:
			return err
		}
	}
	for at := range all {
		if err := all[at].drop(); err != nil {
			return err
		}
	}
	return nil
}

// step makes an array, makes another object of the one, or reads it.
func step(pool tenure.Pool, random *rand.Rand, one kept) (made kept, err error) {
	made = one
	if one.object == nil || random.Intn(4) == 0 {
		made.value = float64(random.Intn(1 << 20))
		if made.array, err = pool.Empty(tenure.F64, 100); err == nil {
			err = tenure.Fill(made.array, made.value)
		}
		made.object = made.array
		return made, err
	}
	switch random.Intn(8) {
	case 0:
		made.array, err = one.array.Clone()
		made.object = made.array
	case 1:
		made.array, err = one.array.Slice(tenure.Range{Start: tenure.All, Stop: tenure.All, Step: -1})
		made.object = made.array
	case 2:
		made.object, err = one.array.Give()
	case 3:
		var twin tenure.Array
		var promise tenure.Promise
		if twin, err = one.array.Clone(); err == nil {
			if promise, err = twin.Give(); err == nil {
				made.array, err = promise.Take()
				made.object = made.array
			}
		}
	case 4:
		made.object, err = tenure.BorrowRead[float64](one.array)
	case 5:
		var guard tenure.Writer[float64]
		if guard, err = tenure.BorrowWrite[float64](one.array); err == nil {
			err = guard.Set(one.value, 0)
			made.object = guard
		}
	case 6:
		made.object, err = tenure.Enter(one.array)
	default:
		var elements []float64
		elements, err = tenure.ToSlice[float64](one.array)
		for _, found := range elements {
			if found != one.value {
				return made, errors.New(strconv.FormatFloat(found, 'g', -1, 64) + " is not the value of the array")
			}
		}
		made.object = nil
	}
	return made, err
}
