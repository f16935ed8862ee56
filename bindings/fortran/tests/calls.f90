!> The binding's calls, each with what it returns. Ends with a status other than 0 if one differs.
program calls
  use tenure
  use tenure_c
  use, intrinsic :: iso_fortran_env, only: error_unit, int32, int64, real32, real64
  implicit none
  integer :: failures = 0

  call versions()
  call creation()
  call pointers()
  call types_and_ranks()
  call sections()
  call sections_of_four_axes()
  call empty_arrays()
  call wrapped()
  call conflicts()
  call views()
  call promises()
  call pools()
  call scopes()
  call errors()
  call finalised()
  call expect(tn_leak_count() == 0, "no leaks at the end")
  if (failures > 0) error stop
  print "(a)", "all calls passed"

contains

  subroutine expect(holds, what)
    logical, intent(in) :: holds
    character(*), intent(in) :: what
    if (holds) return
    failures = failures + 1
    write (error_unit, "(2a)") "FAILED: ", what
  end subroutine

  subroutine versions()
    call expect(tn_version() == TN_VERSION_, "version of the library and of the module")
    call expect(tn_name_of(TN_ERR_STALE) == "TN_ERR_STALE", "name of a status")
  end subroutine

  subroutine creation()
    type(tn_array_t) :: a, b, c
    type(tn_array_info) :: info
    call a%zeros([2, 3], TN_F64, name="a")
    call expect(all(a%shape() == [2, 3]), "shape")
    call expect(a%rank() == 2, "rank")
    call expect(a%dtype() == TN_F64, "dtype")
    call expect(a%name() == "a", "name")
    call a%set_name("renamed")
    call expect(a%name() == "renamed", "set_name")
    info = a%info()
    call expect(info%strides(1) == 8 .and. info%strides(2) == 16, "Fortran's order")
    call b%empty([4_int64], TN_I32)
    call expect(all(b%shape() == [4]), "empty")
    call expect(a%is_unique(), "is_unique of one handle")
    c = a
    call expect(.not. a%is_unique(), "assignment makes a clone")
    call expect(.not. same_handle(a, c), "a clone is another handle")
    call c%release()
    call expect(a%is_unique(), "release")
    call a%zeros([1], TN_F32)
    call expect(a%rank() == 1, "another array in that object")
  end subroutine

  logical function same_handle(a, b)
    type(tn_array_t), intent(in) :: a, b
    same_handle = c_associated(a%handle, b%handle)
  end function

  subroutine pointers()
    type(tn_array_t) :: a, b
    type(tn_guard_t) :: guard, other
    real(real64), pointer :: p(:, :) => null(), q(:, :) => null()
    integer :: i, j
    call a%zeros([2, 3], TN_F64)
    call a%borrow_write(p, guard)
    call expect(all(shape(p) == [2, 3]) .and. all(lbound(p) == 1), "bounds of a pointer")
    call expect(is_contiguous(p) .and. all(p == 0), "contents of a pointer")
    do j = 1, 3
      do i = 1, 2
        p(i, j) = 10 * i + j
      end do
    end do
    call guard%end()
    call b%copy(a)
    call a%borrow_read(p, guard, lower=[0, -1])
    call expect(all(lbound(p) == [0, -1]) .and. all(ubound(p) == [1, 1]), "given lower bounds")
    call expect(p(0, -1) == 11 .and. p(1, 1) == 23, "elements by given bounds")
    call b%borrow_read(q, other)
    call expect(all(p == q), "copy")
    call other%end()
    call guard%end()
  end subroutine

  subroutine types_and_ranks()
    type(tn_array_t) :: a
    type(tn_guard_t) :: guard
    integer(int32), pointer :: i1(:) => null()
    integer(int64), pointer :: i3(:, :, :) => null()
    real(real32), pointer :: r4(:, :, :, :) => null()
    call a%zeros([5], TN_I32)
    call a%borrow_write(i1, guard)
    i1 = [1, 2, 3, 4, 5]
    call guard%end()
    call a%borrow_read(i1, guard)
    call expect(sum(i1) == 15, "int32, 1 axis")
    call guard%end()
    call a%zeros([2, 3, 4], TN_I64)
    call a%borrow_write(i3, guard)
    i3(2, 3, 4) = 7
    call expect(size(i3) == 24 .and. sum(i3) == 7, "int64, 3 axes")
    call guard%end()
    call a%zeros([2, 3, 4, 5], TN_F32)
    call a%borrow_write(r4, guard)
    r4 = 0.5
    call expect(sum(r4) == 60, "real32, 4 axes")
    call guard%end()
  end subroutine

  !> Every section of an array with two axes agrees with Fortran's own.
  subroutine sections()
    type(tn_array_t) :: a, part
    type(tn_guard_t) :: guard
    integer(int64), pointer :: whole(:, :) => null(), p(:, :) => null()
    integer(int64) :: x(7, 5)
    integer :: i, first, last, step, other
    x = reshape([(int(i, int64), i = 1, 35)], [7, 5])
    call a%zeros([7, 5], TN_I64)
    call a%borrow_write(whole, guard)
    whole = x
    call guard%end()
    do first = 1, 7
      do last = 0, 7
        do step = 1, 3
          do other = 1, 3
            call part%slice(a, [first, 2], [last, 5], [step, other])
            call part%borrow_read(p, guard)
            call expect(all(shape(p) == shape(x(first:last:step, 2:5:other))), "shape of a section")
            call expect(all(p == x(first:last:step, 2:5:other)), "elements of a section")
            call guard%end()
          end do
        end do
      end do
    end do
  end subroutine

  subroutine sections_of_four_axes()
    type(tn_array_t) :: a, part
    type(tn_guard_t) :: guard
    integer(int32), pointer :: whole(:, :, :, :) => null(), p(:, :, :, :) => null(), q(:, :, :) => null()
    integer(int32) :: x(4, 5, 3, 4)
    type(c_ptr) :: made
    integer :: i, s1, s2, s3, s4
    x = reshape([(i, i = 1, 240)], [4, 5, 3, 4])
    call a%zeros([4, 5, 3, 4], TN_I32)
    call a%borrow_write(whole, guard)
    whole = x
    call guard%end()
    do s1 = 1, 4
      do s2 = 1, 5
        do s3 = 1, 3
          do s4 = 1, 4
            call part%slice(a, [1, 1, 1, 1], [4, 5, 3, 4], [s1, s2, s3, s4])
            call part%borrow_read(p, guard)
            call expect(all(shape(p) == shape(x(::s1, ::s2, ::s3, ::s4))), "shape of a section, 4 axes")
            call expect(all(p == x(::s1, ::s2, ::s3, ::s4)), "elements of a section, 4 axes")
            call guard%end()
            made = c_null_ptr
            call expect(tn_array_index(part%handle, 3, 0_int64, made) == TN_OK, "tn_array_index")
            call part%adopt(made)
            call part%borrow_read(q, guard)
            call expect(all(q == x(::s1, ::s2, ::s3, 1)), "elements of a section, 3 axes")
            call guard%end()
          end do
        end do
      end do
    end do
  end subroutine

  subroutine empty_arrays()
    type(tn_array_t) :: a
    type(tn_guard_t) :: guard
    real(real32), pointer :: p(:, :) => null()
    call a%zeros([0, 3], TN_F32)
    call a%borrow_write(p, guard)
    call expect(size(p) == 0 .and. all(shape(p) == [0, 3]), "an array without elements")
    call guard%end()
  end subroutine

  subroutine wrapped()
    real(real64), target :: memory(3, 2)
    type(tn_array_t) :: a
    type(tn_guard_t) :: guard
    real(real64), pointer :: p(:, :) => null()
    integer :: stat
    character(80) :: errmsg
    memory = 1
    call a%wrap(memory)
    call a%borrow_write(p, guard)
    p(3, 2) = 5
    call guard%end()
    call expect(memory(3, 2) == 5, "wrap shares the bytes")
    call a%wrap(memory(1:3:2, :), stat, errmsg)
    call expect(stat == TN_ERR_LAYOUT .and. index(errmsg, "contiguous") > 0, "wrap of a section")
    call a%release()
  end subroutine

  subroutine conflicts()
    type(tn_array_t) :: a
    type(tn_guard_t) :: first, second
    real(real32), pointer :: p(:) => null(), q(:) => null()
    integer :: stat
    character(100) :: errmsg
    call a%zeros([4], TN_F32, name="weights")
    call a%borrow_write(p, first)
    call a%borrow_read(q, second, stat=stat, errmsg=errmsg)
    call expect(stat == TN_ERR_BORROWED_WRITE .and. .not. associated(q), "a reader beside a writer")
    call expect(index(errmsg, "weights") > 0, "the message names the array: " // trim(errmsg))
    call a%borrow_write(q, first, stat=stat)
    call expect(stat == TN_ERR_INVALID, "an open guard is not opened again")
    call first%end(failed=.true.)
    call a%borrow_read(q, second, stat=stat)
    call expect(stat == TN_ERR_POISONED, "a failed writer poisons")
    call a%borrow_write(q, second, mode=TN_WRITE_DISCARD)
    q = 1
    call second%end()
    call a%borrow_read(p, first)
    call a%borrow_read(q, second)
    call expect(all(p == q), "two readers")
    call first%end()
    call second%end()
    call second%end(stat=stat)
    call expect(stat == TN_ERR_NULL, "a guard ends once")
  end subroutine

  subroutine views()
    type(tn_array_t) :: a, c_order, turned
    type(tn_guard_t) :: guard
    type(c_ptr) :: made = c_null_ptr
    real(real64), pointer :: p(:, :) => null()
    integer :: stat
    character(120) :: errmsg
    ! What a program in C makes by default: rows are contiguous.
    call expect(tn_array_zeros(c_null_ptr, TN_F64, 2, [2_int64, 3_int64], out=made) == TN_OK, "tn_array_zeros")
    call c_order%adopt(made)
    call c_order%borrow_read(p, guard, stat=stat, errmsg=errmsg)
    call expect(stat == TN_ERR_LAYOUT .and. index(errmsg, "transpose") > 0, "C's order has no pointer")
    call turned%transpose(c_order)
    call turned%borrow_write(p, guard)
    call expect(all(shape(p) == [3, 2]) .and. is_contiguous(p), "the transpose of C's order")
    call guard%end()
    call a%slice(turned, [3_int64, 1_int64], [1_int64, 2_int64], [-1_int64, 1_int64])
    call expect(all(a%shape() == [3, 2]), "a step backwards is a view")
    call a%borrow_read(p, guard, stat=stat)
    call expect(stat == TN_ERR_LAYOUT, "but no pointer")
    call a%slice(turned, [0, 1], [2, 2], stat=stat, errmsg=errmsg)
    call expect(stat == TN_ERR_RANGE .and. index(errmsg, "outside") > 0, "a section out of bounds")
    call a%slice(turned, [1], [2], stat=stat)
    call expect(stat == TN_ERR_COUNT, "a bound for each axis")
    call a%slice(turned, [1, 1], [2, 2], [1], stat=stat)
    call expect(stat == TN_ERR_COUNT, "a step for each axis")
    call a%slice(turned, [1, 1], [2, 2], [0, 1], stat=stat)
    call expect(stat == TN_ERR_INVALID, "a step of 0")
  end subroutine

  subroutine promises()
    type(tn_array_t) :: a, b
    type(tn_promise_t) :: promise
    integer :: stat
    call a%zeros([3], TN_F64)
    call a%give(promise)
    call promise%cancel()
    call expect(a%is_unique(), "a cancelled promise")
    call promise%release()
    call a%give(promise)
    call b%take(promise%handle)
    call promise%release()
    call expect(b%is_unique(), "the taker is the only holder")
    call expect(a%rank(stat) == 0, "a handle without a claim")
    call expect(stat == TN_ERR_DESTRUCTED, "the giver's handle is destructed")
    call a%release()
  end subroutine

  subroutine pools()
    type(tn_pool_t) :: pool
    type(tn_array_t) :: a
    type(tn_pool_stats) :: stats
    integer :: stat
    call pool%create(name="step", max_size=2_int64**24)
    call a%zeros([1000], TN_F64, pool=pool)
    stats = pool%stats()
    call expect(stats%live_blocks == 1 .and. stats%requested_bytes >= 8000, "statistics")
    call a%zeros([2_int64**24], TN_F64, pool=pool, stat=stat)
    call expect(stat == TN_ERR_POOL_LIMIT, "the limit of a pool")
    call pool%set_current()
    call a%empty([10], TN_I32)
    stats = pool%stats()
    call expect(stats%live_blocks == 1, "the current pool")
    call expect(tn_pool_set_current(c_null_ptr) == TN_OK, "the default pool again")
  end subroutine

  subroutine scopes()
    type(tn_array_t) :: a, given
    type(tn_promise_t) :: promise
    type(tn_scope_t) :: scope
    type(tn_array_t) :: own(2)
    call a%zeros([3], TN_F64)
    call given%zeros([5], TN_F64)
    call given%give(promise)
    call scope%enter([a%handle, promise%handle], own)
    call expect(all(own(2)%shape() == [5]), "a scope takes what was given")
    call expect(.not. a%is_unique(), "a scope has handles of its own")
    call scope%leave(keep=own(2:2))
    call expect(a%is_unique(), "a scope releases its handles")
    call expect(own(2)%is_unique(), "except what it keeps")
  end subroutine

  subroutine errors()
    type(tn_array_t) :: a, none
    type(tn_guard_t) :: guard
    real(real32), pointer :: p(:) => null()
    real(real64), pointer :: q(:, :) => null()
    integer :: stat
    character(100) :: errmsg
    call a%zeros([-1], TN_F32, stat=stat, errmsg=errmsg)
    call expect(stat == TN_ERR_SHAPE .and. len_trim(errmsg) > 0, "a negative length")
    call a%zeros([2, 2], TN_F64)
    call a%borrow_read(p, guard, stat=stat, errmsg=errmsg)
    call expect(stat == TN_ERR_DTYPE .and. index(errmsg, "type") > 0, "a pointer of another type")
    call a%zeros([2], TN_F64)
    call a%borrow_read(q, guard, stat=stat)
    call expect(stat == TN_ERR_SHAPE, "a pointer with another number of axes")
    call none%set_name("x", stat=stat)
    call expect(stat == TN_ERR_NULL, "an object without a handle")
    none = a
    call a%release()
    call expect(tn_array_release(a%handle) == TN_ERR_NULL, "a released object has no handle")
  end subroutine

  !> Objects that are left alone are released at the end of their procedure, block and allocation.
  subroutine finalised()
    integer(int64) :: before
    before = tn_leak_count()
    call leaves_alone()
    call expect(tn_leak_count() == before, "finalised at the end of a procedure")
  end subroutine

  subroutine leaves_alone()
    type(tn_array_t) :: a, b
    type(tn_array_t), allocatable :: list(:)
    type(tn_guard_t) :: guard
    type(tn_promise_t) :: promise
    type(tn_pool_t) :: pool
    real(real64), pointer :: p(:) => null()
    call pool%create(name="left")
    call a%zeros([3], TN_F64, pool=pool)
    allocate (list(2))
    call list(1)%zeros([3], TN_F64)
    list(2) = list(1)
    b = a
    call list(1)%borrow_write(p, guard)
    call b%give(promise)
  end subroutine
end program
