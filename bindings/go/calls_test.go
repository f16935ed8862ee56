package tenure_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"tenure"
)

// Every test closes what it makes, or leaves it to the collector; at the end nothing may be left.
func TestMain(m *testing.M) {
	status := m.Run()
	if left := leaksAfterCollection(0); len(left) > 0 {
		fmt.Println("leaks:", left)
		status = 1
	}
	os.Exit(status)
}

// leaksAfterCollection collects until no more than `wanted` handles are left, or ten seconds have passed. Finalisers run at any time later.
func leaksAfterCollection(wanted int) []tenure.Holder {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		left, err := tenure.Leaks()
		if err != nil || len(left) <= wanted || time.Now().After(end) {
			return left
		}
	}
}

func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		ok(t, err)
		return value
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks the status of an error, and that its message has these parts.
func refused(t *testing.T, err error, status tenure.Status, parts ...string) {
	t.Helper()
	if !errors.Is(err, status) {
		t.Fatalf("%v, not %v", err, status)
	}
	if tenure.StatusOf(err) != status {
		t.Fatalf("StatusOf(%v)", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Fatalf("%q is not in: %v", part, err)
		}
	}
}

func same(t *testing.T, got, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(got, wanted) {
		t.Fatalf("%v, not %v", got, wanted)
	}
}

func counting(t *testing.T, shape ...int) tenure.Array {
	t.Helper()
	count := 1
	for _, length := range shape {
		count *= length
	}
	elements := make([]float64, count)
	for i := range elements {
		elements[i] = float64(i)
	}
	return must(tenure.FromSlice(elements, shape...))(t)
}

func elements[T tenure.Element](t *testing.T, a tenure.Array) []T {
	t.Helper()
	return must(tenure.ToSlice[T](a))(t)
}

func TestCreation(t *testing.T) {
	a := must(tenure.Zeros(tenure.F32, 2, 3))(t)
	ok(t, a.SetName("a"))
	info := must(a.Info())(t)
	same(t, info, tenure.Info{DType: tenure.F32, Shape: []int{2, 3}, Strides: []int{12, 4}, Count: 6, Bytes: 24, Name: "a"})
	same(t, elements[float32](t, a), make([]float32, 6))
	empty := must(tenure.Empty(tenure.I64, 4))(t)
	same(t, must(empty.Info())(t).Shape, []int{4})
	scalar := must(tenure.Zeros(tenure.F64))(t)
	same(t, elements[float64](t, scalar), []float64{0})
	none := must(tenure.FromSlice([]int8{}, 2, 0))(t)
	same(t, elements[int8](t, none), []int8{})
	for _, one := range []tenure.Array{a, empty, scalar, none} {
		ok(t, one.Close())
	}
	if tenure.Version() < 0x100 {
		t.Fatal(tenure.Version())
	}
}

func TestElementTypes(t *testing.T) {
	elementType(t, []int8{-1, 2})
	elementType(t, []int16{-1, 2})
	elementType(t, []int32{-1, 2})
	elementType(t, []int64{-1, 2})
	elementType(t, []uint8{1, 255})
	elementType(t, []uint16{1, 2})
	elementType(t, []uint32{1, 2})
	elementType(t, []uint64{1, 1 << 63})
	elementType(t, []float32{0.5, 2})
	elementType(t, []float64{0.5, 2})
	elementType(t, []complex64{1i, 2})
	elementType(t, []complex128{1i, 2})
	booleans := must(tenure.Zeros(tenure.Bool, 2))(t)
	same(t, elements[uint8](t, booleans), []uint8{0, 0})
	halves := must(tenure.Zeros(tenure.F16, 1))(t)
	same(t, elements[uint16](t, halves), []uint16{0})
	_, err := tenure.ToSlice[int8](booleans)
	refused(t, err, tenure.ErrDType)
	refused(t, tenure.Fill(halves, float32(1)), tenure.ErrDType)
}

func elementType[T tenure.Element](t *testing.T, values []T) {
	t.Helper()
	a := must(tenure.FromSlice(values, 2))(t)
	defer a.Close()
	same(t, must(a.Info())(t).DType, tenure.DTypeOf[T]())
	r := must(tenure.BorrowRead[T](a))(t)
	defer r.End()
	same(t, must(r.Slice())(t), values)
	same(t, must(r.At(1))(t), values[1])
}

func TestGuards(t *testing.T) {
	a := must(tenure.Zeros(tenure.F64, 2, 3))(t)
	defer a.Close()
	w := must(tenure.BorrowWrite[float64](a))(t)
	must(w.Slice())(t)[0] = 1
	ok(t, w.Set(5, 1, 2))
	same(t, must(w.At(1, 2))(t), 5.0)
	same(t, w.Shape(), []int{2, 3})
	ok(t, w.End())
	same(t, elements[float64](t, a), []float64{1, 0, 0, 0, 0, 5})

	refused(t, w.End(), tenure.ErrStale, "tn_borrow_end")
	refused(t, w.Set(1, 0, 0), tenure.ErrStale)
	_, err := w.Slice()
	refused(t, err, tenure.ErrStale)
	_, err = tenure.BorrowRead[float32](a)
	refused(t, err, tenure.ErrDType, "0x14002", "0x12002")
	r := must(tenure.BorrowRead[float64](a))(t)
	_, err = r.At(0)
	refused(t, err, tenure.ErrCount)
	_, err = r.At(0, 3)
	refused(t, err, tenure.ErrRange, "index 3", "length 3")
	_, err = r.At(-1, 0)
	refused(t, err, tenure.ErrRange)
	ok(t, r.End())
	refused(t, tenure.Writer[int8]{}.End(), tenure.ErrStale)
	_, err = tenure.Reader[int8]{}.Slice()
	refused(t, err, tenure.ErrStale)
	refused(t, tenure.Scope{}.Leave(), tenure.ErrNull)
	if !must(a.IsUnique())(t) {
		t.Fatal("a guard that was refused is still open")
	}
}

func TestConflictsNameTheLine(t *testing.T) {
	a := must(tenure.Zeros(tenure.F64, 3))(t)
	defer a.Close()
	ok(t, a.SetName("weights"))
	r := must(tenure.BorrowRead[float64](a))(t)
	_, _, line, _ := runtime.Caller(0)
	_, err := tenure.BorrowWrite[float64](a)
	refused(t, err, tenure.ErrBorrowed, "tn_array_borrow_write", `"weights"`, fmt.Sprintf("calls_test.go:%d", line-1))
	second := must(tenure.BorrowRead[float64](a))(t)
	ok(t, second.End())
	ok(t, r.End())
	w := must(tenure.BorrowWrite[float64](a))(t)
	_, err = tenure.BorrowRead[float64](a)
	refused(t, err, tenure.ErrBorrowedWrite)
	ok(t, w.End())
}

// Whatever makes something records the line of the program, not one of this package.
func TestSites(t *testing.T) {
	a := counting(t, 6)
	defer a.Close()
	lines := []int{}
	here := func() {
		_, _, line, _ := runtime.Caller(1)
		lines = append(lines, line)
	}
	path := filepath.Join(t.TempDir(), "a.npy")
	ok(t, a.Save(path))
	made := []tenure.Array{
		func() tenure.Array { here(); return must(tenure.Zeros(tenure.F64, 1))(t) }(),
		func() tenure.Array { here(); return must(tenure.Empty(tenure.F64, 1))(t) }(),
		func() tenure.Array { here(); return must(tenure.Pool{}.Zeros(tenure.F64, 1))(t) }(),
		func() tenure.Array { here(); return must(tenure.FromSlice([]int8{1}, 1))(t) }(),
		func() tenure.Array { here(); return must(a.Clone())(t) }(),
		func() tenure.Array { here(); return must(a.Copy())(t) }(),
		func() tenure.Array { here(); return must(a.Slice())(t) }(),
		func() tenure.Array { here(); return must(a.Reshape(2, 3))(t) }(),
		func() tenure.Array { here(); return must(tenure.Open(path, tenure.NPYRead))(t) }(),
	}
	sites := map[string]bool{}
	for _, leak := range must(tenure.Leaks())(t) {
		sites[leak.Site] = true
	}
	for _, line := range lines {
		if site := fmt.Sprintf("calls_test.go:%d", line); !sites[site] {
			t.Errorf("nothing was made at %s, but at %v", site, sites)
		}
	}
	for _, one := range made {
		ok(t, one.Close())
	}
}

func TestHolders(t *testing.T) {
	a := counting(t, 3)
	defer a.Close()
	r := must(tenure.BorrowRead[float64](a))(t)
	_, _, line, _ := runtime.Caller(0)
	found := false
	for _, holder := range must(a.Holders())(t) {
		found = found || holder.Kind == tenure.HolderGuardRead && holder.Site == fmt.Sprintf("calls_test.go:%d", line-1)
	}
	if !found {
		t.Fatal(a.Holders())
	}
	ok(t, r.End())
}

func TestViews(t *testing.T) {
	a := counting(t, 2, 3)
	row := must(a.Index(0, -1))(t)
	same(t, elements[float64](t, row), []float64{3, 4, 5})
	columns := must(a.Slice(tenure.Range{Stop: tenure.All}, tenure.Range{Start: 1, Stop: 3}))(t)
	same(t, elements[float64](t, columns), []float64{1, 2, 4, 5})
	backwards := must(row.Slice(tenure.Range{Start: tenure.All, Stop: tenure.All, Step: -1}))(t)
	same(t, elements[float64](t, backwards), []float64{5, 4, 3})
	turned := must(a.Transpose())(t)
	r := must(tenure.BorrowRead[float64](turned))(t)
	same(t, r.Shape(), []int{3, 2})
	same(t, must(r.At(2, 1))(t), 5.0)
	_, err := r.Slice()
	refused(t, err, tenure.ErrLayout, "[3 2]", "[8 24]")
	ok(t, r.End())
	_, err = turned.Reshape(6)
	refused(t, err, tenure.ErrLayout)
	flat := must(a.Reshape(-1))(t)
	w := must(tenure.BorrowWrite[float64](flat))(t)
	must(w.Slice())(t)[5] = 50
	ok(t, w.End())
	same(t, elements[float64](t, row), []float64{3, 4, 50})
	_, err = a.Index(0, 2)
	refused(t, err, tenure.ErrRange, "tn_array_index", "2")
	for _, one := range []tenure.Array{a, row, columns, backwards, turned, flat} {
		ok(t, one.Close())
	}
}

func TestClonesAndCopies(t *testing.T) {
	a := counting(t, 3)
	clone := must(a.Clone())(t)
	copied := must(a.Copy())(t)
	if must(a.IsUnique())(t) || !must(copied.IsUnique())(t) {
		t.Fatal("a clone shares the bytes, and a copy does not")
	}
	ok(t, tenure.Fill(clone, 7.0))
	same(t, elements[float64](t, a), []float64{7, 7, 7})
	same(t, elements[float64](t, copied), []float64{0, 1, 2})
	ok(t, copied.CopyInto(a))
	same(t, elements[float64](t, clone), []float64{0, 1, 2})
	w := must(tenure.BorrowWrite[float64](clone, tenure.WriteCOW))(t)
	ok(t, w.Set(9, 0))
	ok(t, w.End())
	same(t, elements[float64](t, a)[0], 0.0)
	w = must(tenure.BorrowWrite[float64](a, tenure.WriteUnique, tenure.WriteDiscard))(t)
	ok(t, w.End())
	ok(t, clone.Close())
	ok(t, copied.Close())
	ok(t, a.Close())
}

func TestReleasedHandlesAreRefused(t *testing.T) {
	a := counting(t, 3)
	ok(t, a.Close())
	refused(t, a.Close(), tenure.ErrStale, "tn_array_release", "released")
	_, err := a.Info()
	refused(t, err, tenure.ErrStale, "tn_array_query", "released")
	_, err = tenure.BorrowRead[float64](a)
	refused(t, err, tenure.ErrStale)
	_, err = tenure.Array{}.Clone()
	refused(t, err, tenure.ErrNull)
	ok(t, tenure.Array{}.Close())
	_, err = tenure.FromHandle(unsafe.Pointer(&a)).Info()
	refused(t, err, tenure.ErrKind)
}

func TestGiveAndTake(t *testing.T) {
	a := counting(t, 3)
	ok(t, a.SetName("given"))
	promise := must(a.Give())(t)
	_, err := tenure.BorrowRead[float64](a)
	refused(t, err, tenure.ErrGiven, `"given"`)
	taken := must(promise.Take())(t)
	_, err = tenure.BorrowRead[float64](a)
	refused(t, err, tenure.ErrDestructed, "tn_array_borrow_read", "given")
	_, err = promise.Take()
	refused(t, err, tenure.ErrDestructed)
	ok(t, promise.Close())
	ok(t, a.Close())
	if !must(taken.IsUnique())(t) {
		t.Fatal("the taker has the only claim")
	}
	again := must(taken.Give())(t)
	ok(t, again.Cancel())
	same(t, elements[float64](t, taken), []float64{0, 1, 2})
	ok(t, again.Close())
	ok(t, taken.Close())
}

func TestPoison(t *testing.T) {
	a := counting(t, 3)
	w := must(tenure.BorrowWrite[float64](a))(t)
	ok(t, w.Set(9, 0))
	ok(t, w.Fail())
	_, err := tenure.BorrowRead[float64](a)
	refused(t, err, tenure.ErrPoisoned)
	ok(t, a.Heal())
	same(t, elements[float64](t, a), []float64{9, 1, 2})
	ok(t, a.Close())
}

func TestScopes(t *testing.T) {
	lent, given := counting(t, 3), counting(t, 5)
	promise := must(given.Give())(t)
	scope := must(tenure.Enter(lent, promise))(t)
	w := must(tenure.BorrowWrite[float64](scope.Arrays[0], tenure.WriteCOW))(t)
	ok(t, w.Set(8, 0))
	ok(t, w.End())
	kept := scope.Arrays[1]
	ok(t, scope.Leave(kept))
	refused(t, scope.Leave(), tenure.ErrStale)
	_, err := scope.Arrays[0].Info()
	refused(t, err, tenure.ErrStale)
	same(t, elements[float64](t, lent), []float64{0, 1, 2})
	same(t, len(elements[float64](t, kept)), 5)
	_, err = given.Clone()
	refused(t, err, tenure.ErrDestructed)
	none := must(tenure.Enter())(t)
	ok(t, none.Leave())
	_, err = tenure.EnterHandles(nil)
	refused(t, err, tenure.ErrNull)
	again := must(tenure.EnterHandles(lent.Handle()))(t)
	ok(t, again.Leave())
	for _, one := range []interface{ Close() error }{promise, lent, given, kept} {
		ok(t, one.Close())
	}
}

func TestHandlesOfC(t *testing.T) {
	a := counting(t, 3)
	b := tenure.FromHandle(a.Detach())
	ok(t, a.Close()) // of nothing
	_, err := a.Info()
	refused(t, err, tenure.ErrNull)
	promise := must(b.Give())(t)
	taken := must(tenure.TakeHandle(promise.Handle()))(t)
	same(t, elements[float64](t, taken), []float64{0, 1, 2})
	ok(t, promise.Close())
	ok(t, b.Close())
	ok(t, taken.Close())
}

func TestPools(t *testing.T) {
	pool := must(tenure.NewPool(tenure.PoolOptions{Name: "step", MaxSize: 1 << 20}))(t)
	a := must(pool.Zeros(tenure.U8, 1000))(t)
	b := must(pool.Empty(tenure.U8, 10))(t)
	stats := must(pool.Stats())(t)
	same(t, []uint64{stats.LiveBlocks, stats.Allocations, stats.Limit}, []uint64{2, 2, 1 << 20})
	_, err := pool.Zeros(tenure.U8, 1<<21)
	refused(t, err, tenure.ErrPoolLimit, `"step"`)
	ok(t, pool.SetDefault())
	c := must(tenure.Zeros(tenure.U8, 1))(t)
	ok(t, tenure.Pool{}.SetDefault())
	same(t, must(pool.Stats())(t).LiveBlocks, uint64(3))
	must(pool.Trim(0))(t)
	ok(t, b.Close())
	ok(t, c.Close())
	ok(t, pool.Close())
	same(t, len(elements[uint8](t, a)), 1000)
	ok(t, a.Close())
	_, err = pool.Stats()
	refused(t, err, tenure.ErrStale)
	memory := must(tenure.MemoryInfo(tenure.Device{}))(t)
	if memory.Total == 0 || memory.Free > memory.Total {
		t.Fatal(memory)
	}
	_, err = tenure.MemoryInfo(tenure.Device{Type: 99})
	refused(t, err, tenure.ErrDevice, "99")
}

func TestMemoryOfC(t *testing.T) {
	memory := must(syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE))(t)
	released := make(chan bool, 1)
	a := must(tenure.Wrap(unsafe.Pointer(&memory[0]), tenure.I32, func() { released <- true }, 2, 2))(t)
	w := must(tenure.BorrowWrite[int32](a))(t)
	ok(t, w.Set(7, 0, 1))
	ok(t, w.End())
	same(t, memory[4], byte(7))
	view := must(a.Index(0, 0))(t)
	ok(t, a.Close())
	select {
	case <-released:
		t.Fatal("released while a view is there")
	default:
	}
	ok(t, view.Close())
	select {
	case <-released:
	case <-time.After(10 * time.Second):
		t.Fatal("not released")
	}
	_, err := tenure.Wrap(unsafe.Pointer(&memory[0]), tenure.I32, func() { t.Error("released") }, -1)
	refused(t, err, tenure.ErrShape)
	ok(t, must(tenure.Wrap(unsafe.Pointer(&memory[0]), tenure.I32, nil, 1))(t).Close())
	ok(t, syscall.Munmap(memory))
}

func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npy")
	a := counting(t, 2, 2)
	ok(t, a.Save(path))
	for _, mode := range []tenure.NPYMode{tenure.NPYRead, tenure.NPYCopy} {
		b := must(tenure.Open(path, mode))(t)
		same(t, elements[float64](t, b), elements[float64](t, a))
		ok(t, b.Close())
	}
	_, err := tenure.Open(path+".missing", tenure.NPYRead)
	refused(t, err, tenure.ErrIO, "a.npy.missing")
	ok(t, a.Close())
}

func TestErrors(t *testing.T) {
	_, err := tenure.Zeros(0, 3)
	refused(t, err, tenure.ErrDType, "TN_ERR_DTYPE: tn_array_zeros: ")
	_, err = tenure.Zeros(tenure.F64, 1<<40, 1<<40)
	refused(t, err, tenure.ErrOverflow)
	_, err = tenure.FromSlice([]int8{1, 2}, 3)
	refused(t, err, tenure.ErrShape, "2 elements", "[3]")
	var known *tenure.Error
	if !errors.As(fmt.Errorf("step 3: %w", err), &known) || known.Status != tenure.ErrShape {
		t.Fatal(err)
	}
	same(t, tenure.StatusOf(errors.New("of other code")), tenure.ErrFailed)
	same(t, tenure.StatusOf(nil), tenure.OK)
}

// A message belongs to its thread. Goroutines that fail at the same time all get their own.
func TestMessagesOfManyGoroutines(t *testing.T) {
	a := counting(t, 10)
	defer a.Close()
	var all sync.WaitGroup
	for g := 0; g < 8; g++ {
		all.Add(1)
		go func(g int) {
			defer all.Done()
			for i := 0; i < 200; i++ {
				index := 1000*(g+1) + i
				_, err := a.Index(0, index)
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("index %d ", index)) {
					t.Errorf("index %d: %v", index, err)
					return
				}
				runtime.Gosched()
			}
		}(g)
	}
	all.Wait()
}

// What nobody refers to any more is released after a collection: arrays, views, promises, pools and scopes.
func TestFinalisers(t *testing.T) {
	before := len(leaksAfterCollection(0))
	func() {
		pool := must(tenure.NewPool(tenure.PoolOptions{}))(t)
		for i := 0; i < 100; i++ {
			a := must(pool.Zeros(tenure.F64, 10))(t)
			must(a.Index(0, 1))(t)
			must(a.Give())(t)
		}
		must(tenure.Enter(counting(t, 3)))(t)
		if n := len(must(tenure.Leaks())(t)); n < before+300 {
			t.Fatalf("%d handles: the collector was too early for this test", n)
		}
	}()
	if left := leaksAfterCollection(before); len(left) > before {
		t.Fatal(left)
	}
}

// A guard is not ended by the collector, because its slice can be all that is left of it.
func TestGuardsOutliveCollections(t *testing.T) {
	var slice []float64
	var guard tenure.Writer[float64]
	func() {
		a := counting(t, 3)
		guard = must(tenure.BorrowWrite[float64](a))(t)
		slice = must(guard.Slice())(t)
	}()
	leaksAfterCollection(1)
	slice[2] = 5
	same(t, slice, []float64{0, 1, 5})
	ok(t, guard.End())
}

func BenchmarkBorrow(b *testing.B) {
	a, err := tenure.Zeros(tenure.F64, 3)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	for i := 0; i < b.N; i++ {
		w, err := tenure.BorrowWrite[float64](a)
		if err != nil || w.End() != nil {
			b.Fatal(err)
		}
	}
}
