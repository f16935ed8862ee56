!> Tenure for Fortran: arrays, guards, promises, scopes and pools over the module tenure_c, which is C's interface.
!>
!> An object holds one handle and releases it when it is finalised: at the end of its procedure or block, or when it is deallocated.
!> Variables of a main program and of modules are never finalised: release those. Assignment of an array makes a clone, another handle
!> on its bytes. Other objects cannot be assigned.
!>
!> Every procedure takes `stat` and `errmsg`. With `stat` it returns a status, TN_OK or TN_ERR_*, and `errmsg` gets the message of a
!> failure. Without `stat` a failure is an error stop with the message. The constants are in tenure_c.
module tenure
  use tenure_c
  use, intrinsic :: iso_fortran_env, only: int32, int64, real32, real64
  implicit none

  private
  public :: tn_array_t, tn_guard_t, tn_promise_t, tn_pool_t, tn_scope_t
  public :: tn_message, tn_name_of, tn_leak_count

  !> An array: one handle, a claim on some bytes with a layout. Axis i of a pointer is axis i of the array.
  type :: tn_array_t
    !> C's handle. Whoever copies it does not own it.
    type(c_ptr) :: handle = c_null_ptr
    !> A scope owns the handle, and `leave` releases it.
    logical :: is_in_scope = .false.
  contains
    procedure, private :: array_assign
    procedure, private :: array_zeros_int32, array_zeros_int64, array_empty_int32, array_empty_int64
    procedure, private :: array_slice_int32, array_slice_int64
    procedure, private :: wrap_int32, wrap_int64, wrap_real32, wrap_real64
    procedure, private :: read_int32, read_int64, read_real32, read_real64
    procedure, private :: write_int32, write_int64, write_real32, write_real64
    !> Another handle on the bytes of the right side.
    generic :: assignment(=) => array_assign
    !> Makes an array of zeros, in Fortran's order of elements.
    generic :: zeros => array_zeros_int32, array_zeros_int64
    !> Makes an array with undefined contents.
    generic :: empty => array_empty_int32, array_empty_int64
    !> Makes an array on memory of the program, which must be contiguous, have the attribute TARGET, and outlive the array.
    generic :: wrap => wrap_int32, wrap_int64, wrap_real32, wrap_real64
    !> Opens a guard and points to the elements. They must not be written through the pointer.
    generic :: borrow_read => read_int32, read_int64, read_real32, read_real64
    !> Opens a guard and points to the elements, which no other guard may use until it ends.
    generic :: borrow_write => write_int32, write_int64, write_real32, write_real64
    !> Makes a view of `of(first:last:step)`, without copying.
    generic :: slice => array_slice_int32, array_slice_int64
    !> Makes a view with the axes in reverse order. Of an array in C order it is what a pointer can show.
    procedure :: transpose => array_transpose
    !> Makes an array with a copy of the bytes.
    procedure :: copy => array_copy
    !> Moves the claim into a promise, for someone to take. The handle remains, to be released.
    procedure :: give => array_give
    !> Gets the claim of a promise, by its handle. The giver's handle is destructed; the promise is still released by its owner.
    procedure :: take => array_take
    !> Releases the handle now.
    procedure :: release => array_release
    !> Takes over a handle that C gives.
    procedure :: adopt => array_adopt
    !> Hands the handle to C, which releases it.
    procedure :: detach => array_detach
    procedure :: shape => array_shape
    procedure :: rank => array_rank
    procedure :: dtype => array_dtype
    procedure :: name => array_name
    procedure :: set_name => array_set_name
    procedure :: is_unique => array_is_unique
    !> All properties, as `tn_array_query` writes them.
    procedure :: info => array_info
    final :: array_finish
  end type

  !> An open guard. Its pointers are valid until it ends.
  type :: tn_guard_t
    type(c_ptr) :: handle = c_null_ptr
  contains
    procedure, private :: guard_assign
    generic :: assignment(=) => guard_assign
    !> Ends the guard. With `failed`, what a writer wrote is undefined, and reads are refused until it is overwritten.
    procedure :: end => guard_end
    final :: guard_finish
  end type

  !> An array that was given and not yet taken.
  type :: tn_promise_t
    type(c_ptr) :: handle = c_null_ptr
  contains
    procedure, private :: promise_assign
    generic :: assignment(=) => promise_assign
    !> Returns the claim to the giver.
    procedure :: cancel => promise_cancel
    procedure :: release => promise_release
    final :: promise_finish
  end type

  !> An allocator of memory.
  type :: tn_pool_t
    type(c_ptr) :: handle = c_null_ptr
  contains
    procedure, private :: pool_assign
    generic :: assignment(=) => pool_assign
    procedure :: create => pool_create
    !> Makes it the pool of this thread.
    procedure :: set_current => pool_set_current
    procedure :: stats => pool_stats
    procedure :: release => pool_release
    final :: pool_finish
  end type

  !> A procedure's own handles on its array parameters.
  type :: tn_scope_t
    type(c_ptr) :: handle = c_null_ptr
  contains
    procedure, private :: scope_assign
    generic :: assignment(=) => scope_assign
    !> Makes an array for each handle of an array or a promise. The scope owns them.
    procedure :: enter => scope_enter
    !> Releases the arrays of the scope, except those that are kept.
    procedure :: leave => scope_leave
    final :: scope_finish
  end type

  !> The part of some memory that a pointer shows.
  type :: section
    type(c_ptr) :: data = c_null_ptr
    integer(int64) :: extent(4) = 1, last(4) = 1, step(4) = 1, lower(4) = 1
  end type

  !> What a pointer without elements points to.
  integer(int64), target, save :: bytes_of_nothing = 0

  interface point
    procedure :: point_int32, point_int64, point_real32, point_real64
  end interface

  interface
    pure function strlen(text) bind(C, name="strlen") result(length)
      import :: c_ptr, c_size_t
      type(c_ptr), value :: text
      integer(c_size_t) :: length
    end function
  end interface

contains

  !> The message of the last failed call of this thread.
  function tn_message() result(text)
    character(:), allocatable :: text
    text = message_of(tn_last_error())
  end function

  !> The name of a status, such as TN_ERR_STALE.
  function tn_name_of(status) result(text)
    integer, intent(in) :: status
    character(:), allocatable :: text
    text = message_of(tn_status_name(int(status, c_int32_t)))
  end function

  !> The number of objects that were made and not yet released.
  function tn_leak_count(stat, errmsg) result(count)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    integer(int64) :: count
    integer(c_size_t) :: found
    type(tn_holder) :: one
    found = 0
    call conclude(tn_leaks(c_sizeof(one), 0_c_size_t, n_leaks=found), stat, errmsg)
    count = found
  end function

  function message_of(text) result(copy)
    type(c_ptr), intent(in) :: text
    character(:), allocatable :: copy
    character(kind=c_char), pointer :: characters(:)
    integer :: at
    call c_f_pointer(text, characters, [strlen(text)])
    allocate (character(size(characters)) :: copy)
    do at = 1, size(characters)
      copy(at:at) = characters(at)
    end do
  end function

  pure function c_text(characters) result(text)
    character(kind=c_char), intent(in) :: characters(:)
    character(:), allocatable :: text
    integer :: at
    text = ""
    do at = 1, size(characters)
      if (characters(at) == c_null_char) return
      text = text // characters(at)
    end do
  end function

  !> Reports a status as the caller wants it. `text` is the message of a failure that the library did not see.
  subroutine conclude(status, stat, errmsg, text)
    integer(c_int32_t), intent(in) :: status
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    character(*), intent(in), optional :: text
    character(:), allocatable :: message
    if (present(stat)) stat = status
    if (status == TN_OK) return
    message = tn_message()
    if (present(text)) message = text
    if (present(errmsg)) errmsg = message
    if (.not. present(stat)) error stop message
  end subroutine

  subroutine no_copy()
    error stop "tenure: only arrays can be assigned"
  end subroutine

  ! -- arrays --

  subroutine array_assign(self, from)
    class(tn_array_t), intent(inout) :: self
    class(tn_array_t), intent(in) :: from
    type(c_ptr) :: made
    made = c_null_ptr
    if (c_associated(from%handle)) call conclude(tn_array_clone(from%handle, made))
    call self%adopt(made)
  end subroutine

  subroutine array_adopt(self, handle)
    class(tn_array_t), intent(inout) :: self
    type(c_ptr), intent(in) :: handle
    call drop(self)
    self%handle = handle
  end subroutine

  !> Releases the handle without a report. One that cannot be released stays in the list of leaks.
  impure elemental subroutine drop(self)
    class(tn_array_t), intent(inout) :: self
    integer(c_int32_t) :: ignored
    ! A scope releases its own.
    if (c_associated(self%handle) .and. .not. self%is_in_scope) ignored = tn_array_release(self%handle)
    self%handle = c_null_ptr
    self%is_in_scope = .false.
  end subroutine

  function array_detach(self) result(handle)
    class(tn_array_t), intent(inout) :: self
    type(c_ptr) :: handle
    handle = self%handle
    self%handle = c_null_ptr
  end function

  subroutine array_release(self, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    integer(c_int32_t) :: status
    status = TN_OK
    if (c_associated(self%handle)) status = tn_array_release(self%handle)
    self%handle = c_null_ptr
    self%is_in_scope = .false.
    call conclude(status, stat, errmsg)
  end subroutine

  impure elemental subroutine array_finish(self)
    type(tn_array_t), intent(inout) :: self
    call drop(self)
  end subroutine

  subroutine create(self, is_zero, shape, dtype, name, pool, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    logical, intent(in) :: is_zero
    integer(int64), intent(in) :: shape(:)
    integer(c_int32_t), intent(in) :: dtype
    character(*), intent(in), optional :: name
    type(tn_pool_t), intent(in), optional :: pool
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(tn_array_options) :: options
    character(kind=c_char, len=:), allocatable, target :: text
    type(c_ptr) :: from, made
    integer(c_int32_t) :: status
    options%order = TN_ORDER_F
    if (present(name)) then
      text = trim(name) // c_null_char
      options%name = c_loc(text)
    end if
    from = c_null_ptr
    if (present(pool)) from = pool%handle
    made = c_null_ptr
    if (is_zero) then
      status = tn_array_zeros(from, dtype, size(shape, kind=c_int32_t), shape, options, made)
    else
      status = tn_array_empty(from, dtype, size(shape, kind=c_int32_t), shape, options, made)
    end if
    if (status == TN_OK) call self%adopt(made)
    call conclude(status, stat, errmsg)
  end subroutine

  subroutine array_zeros_int32(self, shape, dtype, name, pool, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    integer(int32), intent(in) :: shape(:)
    integer(c_int32_t), intent(in) :: dtype
    character(*), intent(in), optional :: name
    type(tn_pool_t), intent(in), optional :: pool
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call create(self, .true., int(shape, int64), dtype, name, pool, stat, errmsg)
  end subroutine

  subroutine array_zeros_int64(self, shape, dtype, name, pool, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    integer(int64), intent(in) :: shape(:)
    integer(c_int32_t), intent(in) :: dtype
    character(*), intent(in), optional :: name
    type(tn_pool_t), intent(in), optional :: pool
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call create(self, .true., shape, dtype, name, pool, stat, errmsg)
  end subroutine

  subroutine array_empty_int32(self, shape, dtype, name, pool, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    integer(int32), intent(in) :: shape(:)
    integer(c_int32_t), intent(in) :: dtype
    character(*), intent(in), optional :: name
    type(tn_pool_t), intent(in), optional :: pool
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call create(self, .false., int(shape, int64), dtype, name, pool, stat, errmsg)
  end subroutine

  subroutine array_empty_int64(self, shape, dtype, name, pool, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    integer(int64), intent(in) :: shape(:)
    integer(c_int32_t), intent(in) :: dtype
    character(*), intent(in), optional :: name
    type(tn_pool_t), intent(in), optional :: pool
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call create(self, .false., shape, dtype, name, pool, stat, errmsg)
  end subroutine

  subroutine wrap_memory(self, data, shape, dtype, bytes, is_contiguous, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    type(c_ptr), intent(in) :: data
    integer(int64), intent(in), target :: shape(:)
    integer(c_int32_t), intent(in) :: dtype
    integer(int64), intent(in) :: bytes
    logical, intent(in) :: is_contiguous
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(tn_layout) :: layout
    integer(int64), target :: strides(size(shape))
    type(c_ptr) :: made
    integer(c_int32_t) :: status
    integer :: axis
    if (.not. is_contiguous) then
      call conclude(TN_ERR_LAYOUT, stat, errmsg, "wrap: the memory is not contiguous")
      return
    end if
    strides = [(bytes * product(shape(:axis - 1)), axis = 1, size(shape))]
    layout%dtype = dtype
    layout%ndim = size(shape, kind=c_int32_t)
    if (size(shape) > 0) then
      layout%shape = c_loc(shape)
      layout%strides = c_loc(strides)
    end if
    made = c_null_ptr
    status = tn_array_import_host(data, layout, ior(TN_REQUIRE_BORROW, TN_MAY_OVERWRITE), c_null_funptr, c_null_ptr, made)
    if (status == TN_OK) call self%adopt(made)
    call conclude(status, stat, errmsg)
  end subroutine

  subroutine wrap_int32(self, memory, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    integer(int32), intent(in), target :: memory(..)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call wrap_memory(self, c_loc(memory), shape(memory, int64), TN_I32, 4_int64, is_contiguous(memory), stat, errmsg)
  end subroutine

  subroutine wrap_int64(self, memory, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    integer(int64), intent(in), target :: memory(..)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call wrap_memory(self, c_loc(memory), shape(memory, int64), TN_I64, 8_int64, is_contiguous(memory), stat, errmsg)
  end subroutine

  subroutine wrap_real32(self, memory, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    real(real32), intent(in), target :: memory(..)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call wrap_memory(self, c_loc(memory), shape(memory, int64), TN_F32, 4_int64, is_contiguous(memory), stat, errmsg)
  end subroutine

  subroutine wrap_real64(self, memory, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    real(real64), intent(in), target :: memory(..)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call wrap_memory(self, c_loc(memory), shape(memory, int64), TN_F64, 8_int64, is_contiguous(memory), stat, errmsg)
  end subroutine

  function array_info(self, stat, errmsg) result(info)
    class(tn_array_t), intent(in) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(tn_array_info) :: info
    call conclude(tn_array_query(self%handle, info), stat, errmsg)
  end function

  function array_shape(self, stat, errmsg) result(shape)
    class(tn_array_t), intent(in) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    integer(int64), allocatable :: shape(:)
    type(tn_array_info) :: info
    info = self%info(stat, errmsg)
    shape = info%shape(:info%ndim)
  end function

  function array_rank(self, stat, errmsg) result(rank)
    class(tn_array_t), intent(in) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    integer :: rank
    type(tn_array_info) :: info
    info = self%info(stat, errmsg)
    rank = info%ndim
  end function

  function array_dtype(self, stat, errmsg) result(dtype)
    class(tn_array_t), intent(in) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    integer(c_int32_t) :: dtype
    type(tn_array_info) :: info
    info = self%info(stat, errmsg)
    dtype = info%dtype
  end function

  function array_name(self, stat, errmsg) result(name)
    class(tn_array_t), intent(in) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    character(:), allocatable :: name
    type(tn_array_info) :: info
    info = self%info(stat, errmsg)
    name = c_text(info%name)
  end function

  subroutine array_set_name(self, name, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    character(*), intent(in) :: name
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call conclude(tn_array_set_name(self%handle, trim(name) // c_null_char), stat, errmsg)
  end subroutine

  !> Whether nothing else holds the bytes.
  function array_is_unique(self, stat, errmsg) result(is_unique)
    class(tn_array_t), intent(in) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    logical :: is_unique
    integer(c_int32_t) :: answer
    answer = 0
    call conclude(tn_array_is_unique(self%handle, answer), stat, errmsg)
    is_unique = answer /= 0
  end function

  subroutine array_copy(self, of, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    class(tn_array_t), intent(in) :: of
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(c_ptr) :: made
    integer(c_int32_t) :: status
    made = c_null_ptr
    status = tn_array_copy(of%handle, c_null_ptr, c_null_ptr, made)
    if (status == TN_OK) call self%adopt(made)
    call conclude(status, stat, errmsg)
  end subroutine

  subroutine array_transpose(self, of, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    class(tn_array_t), intent(in) :: of
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(c_ptr) :: made
    integer(c_int32_t) :: status
    made = c_null_ptr
    status = tn_array_transpose(of%handle, made)
    if (status == TN_OK) call self%adopt(made)
    call conclude(status, stat, errmsg)
  end subroutine

  subroutine array_slice_int64(self, of, first, last, step, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    class(tn_array_t), intent(in) :: of
    integer(int64), intent(in) :: first(:), last(:)
    integer(int64), intent(in), optional :: step(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(tn_slice_spec) :: specs(size(first))
    type(c_ptr) :: made
    integer(c_int32_t) :: status
    character(:), allocatable :: text
    call specs_of(of, first, last, step, specs, status, text)
    if (allocated(text)) then
      call conclude(status, stat, errmsg, text)
      return
    end if
    made = c_null_ptr
    if (status == TN_OK) status = tn_array_slice(of%handle, size(specs, kind=c_size_t), specs, made)
    if (status == TN_OK) call self%adopt(made)
    call conclude(status, stat, errmsg)
  end subroutine

  subroutine array_slice_int32(self, of, first, last, step, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    class(tn_array_t), intent(in) :: of
    integer(int32), intent(in) :: first(:), last(:)
    integer(int32), intent(in), optional :: step(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    if (present(step)) then
      call self%array_slice_int64(of, int(first, int64), int(last, int64), int(step, int64), stat, errmsg)
    else
      call self%array_slice_int64(of, int(first, int64), int(last, int64), stat=stat, errmsg=errmsg)
    end if
  end subroutine

  !> C's slices of Fortran's bounds, which are inclusive and begin with 1. As in Fortran, a part may be empty, but not out of bounds.
  subroutine specs_of(of, first, last, step, specs, status, text)
    class(tn_array_t), intent(in) :: of
    integer(int64), intent(in) :: first(:), last(:)
    integer(int64), intent(in), optional :: step(:)
    type(tn_slice_spec), intent(inout) :: specs(:)
    integer(c_int32_t), intent(out) :: status
    character(:), allocatable, intent(out) :: text
    type(tn_array_info) :: info
    integer(int64) :: steps(size(first)), n
    integer :: axis
    status = tn_array_query(of%handle, info)
    if (status /= TN_OK) return
    if (size(last) /= size(first) .or. size(first) /= info%ndim) status = TN_ERR_COUNT
    steps = 1
    if (present(step)) then
      if (size(step) /= size(first)) status = TN_ERR_COUNT
      if (status == TN_OK) steps = step
    end if
    if (status /= TN_OK) then
      text = "slice: first, last and step must have a value for each axis"
      return
    end if
    do axis = 1, size(first)
      if (steps(axis) == 0) then
        status = TN_ERR_INVALID
        text = "slice: a step of 0"
        return
      end if
      n = max(0_int64, (last(axis) - first(axis) + steps(axis)) / steps(axis))
      if (n > 0 .and. (min(first(axis), first(axis) + (n - 1) * steps(axis)) < 1 .or. &
          max(first(axis), first(axis) + (n - 1) * steps(axis)) > info%shape(axis))) then
        status = TN_ERR_RANGE
        text = "slice: a bound is outside of its axis"
        return
      end if
      specs(axis)%start = first(axis) - 1
      specs(axis)%stop = first(axis) - 1 + n * steps(axis)
      specs(axis)%step = steps(axis)
      ! In C a negative bound counts from the end.
      if (specs(axis)%stop < 0) specs(axis)%stop = TN_NONE
      if (n == 0) then
        specs(axis)%start = 0
        specs(axis)%stop = 0
        specs(axis)%step = 1
      end if
    end do
  end subroutine

  subroutine array_give(self, promise, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    type(tn_promise_t), intent(inout) :: promise
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(c_ptr) :: made
    integer(c_int32_t) :: status
    made = c_null_ptr
    status = tn_array_give(self%handle, 1_c_size_t, made)
    if (status == TN_OK) then
      call promise_finish(promise)
      promise%handle = made
    end if
    call conclude(status, stat, errmsg)
  end subroutine

  subroutine array_take(self, promise, stat, errmsg)
    class(tn_array_t), intent(inout) :: self
    type(c_ptr), intent(in) :: promise
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(c_ptr) :: made(1)
    integer(c_int32_t) :: status
    made = c_null_ptr
    status = tn_take(1_c_size_t, [promise], made)
    if (status == TN_OK) call self%adopt(made(1))
    call conclude(status, stat, errmsg)
  end subroutine

  ! -- borrows --

  !> Opens a guard and finds the section that a pointer of this type and rank can show. `text` is set if that is impossible.
  subroutine open_guard(self, writes, flags, dtype, rank, lower, guard, s, status, text)
    class(tn_array_t), intent(in) :: self
    logical, intent(in) :: writes
    integer(c_int32_t), intent(in), optional :: flags
    integer(c_int32_t), intent(in) :: dtype
    integer, intent(in) :: rank
    integer, intent(in), optional :: lower(:)
    type(tn_guard_t), intent(inout) :: guard
    type(section), intent(out) :: s
    integer(c_int32_t), intent(out) :: status
    character(:), allocatable, intent(out) :: text
    type(tn_array_info) :: info
    type(tn_view_info) :: view
    type(c_ptr) :: made
    integer(c_int32_t) :: chosen, ended
    integer(int64), pointer :: shape(:), strides(:)
    made = c_null_ptr
    if (c_associated(guard%handle)) then
      status = TN_ERR_INVALID
      text = "borrow: this guard is open"
      return
    end if
    status = tn_array_query(self%handle, info)
    if (status /= TN_OK) return
    call match(info, dtype, rank, status, text)
    if (status /= TN_OK) return
    chosen = 0
    if (present(flags)) chosen = flags
    if (writes) then
      status = tn_array_borrow_write(self%handle, chosen, c_null_ptr, view=view, out=made)
    else
      status = tn_array_borrow_read(self%handle, chosen, c_null_ptr, view=view, out=made)
    end if
    if (status /= TN_OK) return
    call c_f_pointer(view%shape, shape, [rank])
    call c_f_pointer(view%strides, strides, [rank])
    s%data = view%data
    call fit(shape, strides, storage_of(dtype), s, status, text)
    if (status == TN_OK .and. present(lower)) then
      if (size(lower) /= rank) then
        status = TN_ERR_COUNT
        text = "borrow: lower must have a value for each axis"
      else
        s%lower(:rank) = lower
      end if
    end if
    if (status == TN_OK) then
      guard%handle = made
    else
      ended = tn_borrow_end(made, 0_c_int32_t, c_null_ptr)
    end if
  end subroutine

  !> The bytes of an element.
  pure function storage_of(dtype) result(bytes)
    integer(c_int32_t), intent(in) :: dtype
    integer(int64) :: bytes
    bytes = ibits(dtype, 8, 8) / 8
  end function

  subroutine match(info, dtype, rank, status, text)
    type(tn_array_info), intent(in) :: info
    integer(c_int32_t), intent(in) :: dtype
    integer, intent(in) :: rank
    integer(c_int32_t), intent(out) :: status
    character(:), allocatable, intent(inout) :: text
    status = TN_OK
    if (info%device%type == TN_CUDA) then
      status = TN_ERR_DEVICE
      text = "borrow: the array is in memory of a GPU"
    else if (info%dtype /= dtype) then
      status = TN_ERR_DTYPE
      text = "borrow: the pointer has another type than the array"
    else if (info%ndim /= rank) then
      status = TN_ERR_SHAPE
      text = "borrow: the pointer has another number of axes than the array"
    end if
  end subroutine

  !> Finds a Fortran array whose section has this shape and these strides. Its extents are the quotients of the greatest common divisors
  !> of the strides from an axis on.
  subroutine fit(shape, strides, bytes, s, status, text)
    integer(int64), intent(in) :: shape(:), strides(:), bytes
    type(section), intent(inout) :: s
    integer(c_int32_t), intent(out) :: status
    character(:), allocatable, intent(inout) :: text
    integer(int64) :: unit(size(shape) + 1)
    integer :: axis
    status = TN_OK
    if (any(shape == 0)) then
      s%data = c_loc(bytes_of_nothing)
      s%extent(:size(shape)) = shape
      s%last(:size(shape)) = shape
      return
    end if
    unit = 0
    do axis = size(shape), 1, -1
      unit(axis) = unit(axis + 1)
      if (shape(axis) > 1) unit(axis) = gcd(strides(axis), unit(axis + 1))
    end do
    unit(1) = gcd(unit(1), bytes)
    if (unit(1) /= bytes .or. any(shape > 1 .and. strides <= 0)) status = TN_ERR_LAYOUT
    do axis = 1, size(shape)
      if (status /= TN_OK) exit
      if (shape(axis) > 1) s%step(axis) = strides(axis) / unit(axis)
      s%last(axis) = (shape(axis) - 1) * s%step(axis) + 1
      s%extent(axis) = s%last(axis)
      if (unit(axis + 1) == 0) cycle
      s%extent(axis) = unit(axis + 1) / unit(axis)
      if (s%last(axis) > s%extent(axis)) status = TN_ERR_LAYOUT
    end do
    if (status /= TN_OK) text = "borrow: no section of a Fortran array has these strides; borrow the transpose, or a copy"
  end subroutine

  pure recursive function gcd(a, b) result(divisor)
    integer(int64), intent(in) :: a, b
    integer(int64) :: divisor
    if (b == 0) then
      divisor = abs(a)
    else
      divisor = gcd(b, mod(a, b))
    end if
  end function

  subroutine point_int32(p, s)
    integer(int32), pointer, intent(inout) :: p(..)
    type(section), intent(in) :: s
    integer(int32), pointer :: flat(:), matrix(:, :), cube(:, :, :), block4(:, :, :, :)
    include "tenure_point.inc"
  end subroutine

  subroutine point_int64(p, s)
    integer(int64), pointer, intent(inout) :: p(..)
    type(section), intent(in) :: s
    integer(int64), pointer :: flat(:), matrix(:, :), cube(:, :, :), block4(:, :, :, :)
    include "tenure_point.inc"
  end subroutine

  subroutine point_real32(p, s)
    real(real32), pointer, intent(inout) :: p(..)
    type(section), intent(in) :: s
    real(real32), pointer :: flat(:), matrix(:, :), cube(:, :, :), block4(:, :, :, :)
    include "tenure_point.inc"
  end subroutine

  subroutine point_real64(p, s)
    real(real64), pointer, intent(inout) :: p(..)
    type(section), intent(in) :: s
    real(real64), pointer :: flat(:), matrix(:, :), cube(:, :, :), block4(:, :, :, :)
    include "tenure_point.inc"
  end subroutine

  subroutine read_int32(self, p, guard, flags, lower, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    integer(int32), pointer, intent(inout) :: p(..)
    type(tn_guard_t), intent(inout) :: guard
    integer(c_int32_t), intent(in), optional :: flags
    integer, intent(in), optional :: lower(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(section) :: s
    integer(c_int32_t) :: status
    character(:), allocatable :: text
    call open_guard(self, .false., flags, TN_I32, rank(p), lower, guard, s, status, text)
    if (status == TN_OK) call point(p, s)
    call conclude(status, stat, errmsg, text)
  end subroutine

  subroutine read_int64(self, p, guard, flags, lower, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    integer(int64), pointer, intent(inout) :: p(..)
    type(tn_guard_t), intent(inout) :: guard
    integer(c_int32_t), intent(in), optional :: flags
    integer, intent(in), optional :: lower(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(section) :: s
    integer(c_int32_t) :: status
    character(:), allocatable :: text
    call open_guard(self, .false., flags, TN_I64, rank(p), lower, guard, s, status, text)
    if (status == TN_OK) call point(p, s)
    call conclude(status, stat, errmsg, text)
  end subroutine

  subroutine read_real32(self, p, guard, flags, lower, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    real(real32), pointer, intent(inout) :: p(..)
    type(tn_guard_t), intent(inout) :: guard
    integer(c_int32_t), intent(in), optional :: flags
    integer, intent(in), optional :: lower(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(section) :: s
    integer(c_int32_t) :: status
    character(:), allocatable :: text
    call open_guard(self, .false., flags, TN_F32, rank(p), lower, guard, s, status, text)
    if (status == TN_OK) call point(p, s)
    call conclude(status, stat, errmsg, text)
  end subroutine

  subroutine read_real64(self, p, guard, flags, lower, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    real(real64), pointer, intent(inout) :: p(..)
    type(tn_guard_t), intent(inout) :: guard
    integer(c_int32_t), intent(in), optional :: flags
    integer, intent(in), optional :: lower(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(section) :: s
    integer(c_int32_t) :: status
    character(:), allocatable :: text
    call open_guard(self, .false., flags, TN_F64, rank(p), lower, guard, s, status, text)
    if (status == TN_OK) call point(p, s)
    call conclude(status, stat, errmsg, text)
  end subroutine

  subroutine write_int32(self, p, guard, mode, lower, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    integer(int32), pointer, intent(inout) :: p(..)
    type(tn_guard_t), intent(inout) :: guard
    integer(c_int32_t), intent(in), optional :: mode
    integer, intent(in), optional :: lower(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(section) :: s
    integer(c_int32_t) :: status
    character(:), allocatable :: text
    call open_guard(self, .true., mode, TN_I32, rank(p), lower, guard, s, status, text)
    if (status == TN_OK) call point(p, s)
    call conclude(status, stat, errmsg, text)
  end subroutine

  subroutine write_int64(self, p, guard, mode, lower, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    integer(int64), pointer, intent(inout) :: p(..)
    type(tn_guard_t), intent(inout) :: guard
    integer(c_int32_t), intent(in), optional :: mode
    integer, intent(in), optional :: lower(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(section) :: s
    integer(c_int32_t) :: status
    character(:), allocatable :: text
    call open_guard(self, .true., mode, TN_I64, rank(p), lower, guard, s, status, text)
    if (status == TN_OK) call point(p, s)
    call conclude(status, stat, errmsg, text)
  end subroutine

  subroutine write_real32(self, p, guard, mode, lower, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    real(real32), pointer, intent(inout) :: p(..)
    type(tn_guard_t), intent(inout) :: guard
    integer(c_int32_t), intent(in), optional :: mode
    integer, intent(in), optional :: lower(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(section) :: s
    integer(c_int32_t) :: status
    character(:), allocatable :: text
    call open_guard(self, .true., mode, TN_F32, rank(p), lower, guard, s, status, text)
    if (status == TN_OK) call point(p, s)
    call conclude(status, stat, errmsg, text)
  end subroutine

  subroutine write_real64(self, p, guard, mode, lower, stat, errmsg)
    class(tn_array_t), intent(in) :: self
    real(real64), pointer, intent(inout) :: p(..)
    type(tn_guard_t), intent(inout) :: guard
    integer(c_int32_t), intent(in), optional :: mode
    integer, intent(in), optional :: lower(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(section) :: s
    integer(c_int32_t) :: status
    character(:), allocatable :: text
    call open_guard(self, .true., mode, TN_F64, rank(p), lower, guard, s, status, text)
    if (status == TN_OK) call point(p, s)
    call conclude(status, stat, errmsg, text)
  end subroutine

  subroutine guard_assign(self, from)
    class(tn_guard_t), intent(inout) :: self
    class(tn_guard_t), intent(in) :: from
    if (c_associated(self%handle) .or. c_associated(from%handle)) call no_copy()
  end subroutine

  subroutine guard_end(self, failed, stat, errmsg)
    class(tn_guard_t), intent(inout) :: self
    logical, intent(in), optional :: failed
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    integer(c_int32_t) :: flags, status
    flags = 0
    if (present(failed)) flags = merge(TN_END_FAILED, 0_c_int32_t, failed)
    status = tn_borrow_end(self%handle, flags, c_null_ptr)
    self%handle = c_null_ptr
    call conclude(status, stat, errmsg)
  end subroutine

  impure elemental subroutine guard_finish(self)
    type(tn_guard_t), intent(inout) :: self
    integer(c_int32_t) :: ignored
    if (c_associated(self%handle)) ignored = tn_borrow_end(self%handle, 0_c_int32_t, c_null_ptr)
    self%handle = c_null_ptr
  end subroutine

  ! -- promises --

  subroutine promise_assign(self, from)
    class(tn_promise_t), intent(inout) :: self
    class(tn_promise_t), intent(in) :: from
    if (c_associated(self%handle) .or. c_associated(from%handle)) call no_copy()
  end subroutine

  subroutine promise_cancel(self, stat, errmsg)
    class(tn_promise_t), intent(inout) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call conclude(tn_promise_cancel(self%handle), stat, errmsg)
  end subroutine

  subroutine promise_release(self, stat, errmsg)
    class(tn_promise_t), intent(inout) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    integer(c_int32_t) :: status
    status = tn_promise_release(self%handle)
    self%handle = c_null_ptr
    call conclude(status, stat, errmsg)
  end subroutine

  impure elemental subroutine promise_finish(self)
    type(tn_promise_t), intent(inout) :: self
    integer(c_int32_t) :: ignored
    if (c_associated(self%handle)) ignored = tn_promise_release(self%handle)
    self%handle = c_null_ptr
  end subroutine

  ! -- pools --

  subroutine pool_assign(self, from)
    class(tn_pool_t), intent(inout) :: self
    class(tn_pool_t), intent(in) :: from
    if (c_associated(self%handle) .or. c_associated(from%handle)) call no_copy()
  end subroutine

  subroutine pool_create(self, name, max_size, stat, errmsg)
    class(tn_pool_t), intent(inout) :: self
    character(*), intent(in), optional :: name
    integer(int64), intent(in), optional :: max_size
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(tn_pool_options) :: options
    character(kind=c_char, len=:), allocatable, target :: text
    type(c_ptr) :: made
    integer(c_int32_t) :: status
    if (present(name)) then
      text = trim(name) // c_null_char
      options%name = c_loc(text)
    end if
    if (present(max_size)) options%max_size = max_size
    made = c_null_ptr
    status = tn_pool_create(tn_device(TN_CPU, 0), options, made)
    if (status == TN_OK) then
      call pool_finish(self)
      self%handle = made
    end if
    call conclude(status, stat, errmsg)
  end subroutine

  subroutine pool_set_current(self, stat, errmsg)
    class(tn_pool_t), intent(in) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    call conclude(tn_pool_set_current(self%handle), stat, errmsg)
  end subroutine

  function pool_stats(self, stat, errmsg) result(stats)
    class(tn_pool_t), intent(in) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(tn_pool_stats) :: stats
    call conclude(tn_pool_query(self%handle, stats), stat, errmsg)
  end function

  subroutine pool_release(self, stat, errmsg)
    class(tn_pool_t), intent(inout) :: self
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    integer(c_int32_t) :: status
    status = tn_pool_release(self%handle)
    self%handle = c_null_ptr
    call conclude(status, stat, errmsg)
  end subroutine

  impure elemental subroutine pool_finish(self)
    type(tn_pool_t), intent(inout) :: self
    integer(c_int32_t) :: ignored
    if (c_associated(self%handle)) ignored = tn_pool_release(self%handle)
    self%handle = c_null_ptr
  end subroutine

  ! -- scopes --

  subroutine scope_assign(self, from)
    class(tn_scope_t), intent(inout) :: self
    class(tn_scope_t), intent(in) :: from
    if (c_associated(self%handle) .or. c_associated(from%handle)) call no_copy()
  end subroutine

  subroutine scope_enter(self, handles, own, stat, errmsg)
    class(tn_scope_t), intent(inout) :: self
    type(c_ptr), intent(in) :: handles(:)
    type(tn_array_t), intent(inout) :: own(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    type(c_ptr) :: made(size(handles)), scope
    integer(c_int32_t) :: status
    integer :: at
    if (size(own) /= size(handles)) then
      call conclude(TN_ERR_COUNT, stat, errmsg, "enter: own must have an array for each handle")
      return
    end if
    made = c_null_ptr
    scope = c_null_ptr
    status = tn_enter(size(handles, kind=c_size_t), handles, made, scope)
    if (status == TN_OK) then
      call scope_finish(self)
      self%handle = scope
      do at = 1, size(own)
        call own(at)%adopt(made(at))
        own(at)%is_in_scope = .true.
      end do
    end if
    call conclude(status, stat, errmsg)
  end subroutine

  subroutine scope_leave(self, keep, stat, errmsg)
    class(tn_scope_t), intent(inout) :: self
    type(tn_array_t), intent(inout), optional :: keep(:)
    integer, intent(out), optional :: stat
    character(*), intent(inout), optional :: errmsg
    integer(c_int32_t) :: status
    integer :: at
    if (present(keep)) then
      status = tn_leave(self%handle, size(keep, kind=c_size_t), [(keep(at)%handle, at = 1, size(keep))])
      if (status == TN_OK) keep%is_in_scope = .false.
    else
      status = tn_leave(self%handle, 0_c_size_t)
    end if
    if (status == TN_OK) self%handle = c_null_ptr
    call conclude(status, stat, errmsg)
  end subroutine

  impure elemental subroutine scope_finish(self)
    type(tn_scope_t), intent(inout) :: self
    integer(c_int32_t) :: ignored
    if (c_associated(self%handle)) ignored = tn_leave(self%handle, 0_c_size_t)
    self%handle = c_null_ptr
  end subroutine
end module
