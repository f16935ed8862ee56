// What clang says of C++. `WARNS` marks a line with a warning; no other line has one. What does not compile at all is in
// bindings/cpp/tests/refused.cpp.
#include "tenure.hpp"

#include <utility>

void keep(tenure::promise p);
bool chance();

// Addresses and views that outlive their guard.
const double *address(const tenure::array &a) {
    auto r = a.read<double>();
    return r.data(); // WARNS
}
double *written(tenure::array &a) {
    auto w = a.write<double>();
    return w.data(); // WARNS
}
tenure::span<const double> elements(const tenure::array &a) {
    auto r = a.read<double>();
    return r.span(); // WARNS
}
tenure::span<const std::int64_t> lengths(const tenure::array &a) {
    auto r = a.read<double>();
    return r.shape(); // WARNS
}
tenure::span<const std::int64_t> steps(const tenure::array &a) {
    auto r = a.read<double>();
    return r.strides(); // WARNS
}
const double *first(const tenure::array &a) {
    auto r = a.read<double>();
    return r.begin(); // WARNS
}
const double *last(const tenure::array &a) {
    auto r = a.read<double>();
    return r.end(); // WARNS
}

// Uses of what was given, moved or released.
void given(tenure::array a) {
    keep(tenure::give(std::move(a)));
    auto r = a.read<double>(); // WARNS
}
void given_and_written(tenure::array a) {
    keep(tenure::give(std::move(a)));
    auto w = a.write<double>(); // WARNS
}
void given_on_one_path(tenure::array a) {
    keep(tenure::give(std::move(a)));
    if (chance())
        static_cast<void>(a.shape()); // WARNS
}
void moved() {
    auto a = tenure::zeros<double>({3});
    auto b = std::move(a);
    auto c = a.clone(); // WARNS
}
void moved_and_asked() {
    auto a = tenure::zeros<double>({3});
    auto b = std::move(a);
    static_cast<void>(a.info()); // WARNS
}
void released() {
    auto a = tenure::zeros<double>({3});
    a.reset();
    auto c = a.copy(); // WARNS
}
void sliced_after_move() {
    auto a = tenure::zeros<double>({3});
    auto b = std::move(a);
    auto c = a.index(0, 1); // WARNS
}
void reshaped_after_release() {
    auto a = tenure::zeros<double>({4});
    a.reset();
    auto c = a.reshape({2, 2}); // WARNS
}
void written_after_release() {
    auto a = tenure::zeros<double>({4});
    a.reset();
    a.zero(); // WARNS
}

// Results that end at once.
void guard_dropped(const tenure::array &a) {
    a.read<double>(); // WARNS
}
void writer_dropped(tenure::array &a) {
    a.write<double>(); // WARNS
}
void clone_dropped(const tenure::array &a) {
    a.clone(); // WARNS
}
void array_dropped() {
    tenure::zeros<double>({3}); // WARNS
}

// What is right.
double read(const tenure::array &a) {
    auto r = a.read<double>();
    return r.data()[0] + r[1];
}
void assigned_again() {
    auto a = tenure::zeros<double>({3});
    auto b = std::move(a);
    a = tenure::zeros<double>({2});
    auto c = a.clone();
}
void empty_first() {
    tenure::array a;
    a = tenure::zeros<double>({2});
    auto r = a.read<double>();
}
void in_a_loop() {
    auto a = tenure::zeros<double>({3});
    for (int i = 0; i < 3; i++) {
        auto w = a.write<double>();
        w[i] = 1;
    }
    auto r = a.read<double>();
}
tenure::array returned() {
    auto a = tenure::zeros<double>({3});
    return a;
}
void clone_is_given(const tenure::array &a) {
    keep(tenure::give(a.clone()));
    auto r = a.read<double>();
}
